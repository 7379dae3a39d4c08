"""Arrays in, arrays out: nothing here knows what an image or a generation is."""
