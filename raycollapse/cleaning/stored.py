"""What lies below `<storage>/stages`, whole or not: one listing, nothing opened."""

from dataclasses import dataclass

from raycollapse.store import Store

MANIFEST = "manifest.json"
CHECKPOINT = "checkpoint"
"""The kind whose stages lie one folder deeper, below the key of the train stage that they belong to."""


@dataclass(frozen=True)
class Stored:
    """The folder of a stage, finished or not."""

    kind: str
    """For a checkpoint `checkpoint/<key of the train stage>`, as the store has it."""
    key: str
    parts: dict[str, int]
    """Size in bytes of each thing directly in it, by name: the manifest, attempts, a file left by a killed write."""

    @property
    def path(self) -> str:
        """The folder in the storage."""
        return f"stages/{self.kind}/{self.key}"

    @property
    def shown_kind(self) -> str:
        """The kind in words for a person."""
        return self.kind.partition("/")[0]

    @property
    def subject(self) -> tuple[str, str]:
        """Kind and key of the stage that has to be referred to for this one to be needed."""
        kind, _, train_key = self.kind.partition("/")
        return ("train", train_key) if kind == CHECKPOINT else (self.kind, self.key)

    @property
    def is_set_aside(self) -> bool:
        """Whether the store has found it damaged."""
        return ".damaged-" in self.key

    @property
    def attempts(self) -> tuple[str, ...]:
        """Everything in it that is not its manifest."""
        return tuple(name for name in self.parts if name != MANIFEST)

    def manifest(self, store: Store) -> bytes | None:
        """Return the manifest as it is now; none if there is none."""
        try:
            return store.files.read(f"{self.path}/{MANIFEST}")
        except FileNotFoundError:
            return None


def stored(store: Store) -> list[Stored]:
    """Return everything in the stages' folders, by path."""
    parts: dict[tuple[str, str], dict[str, int]] = {}
    for path, size in sorted(store.files.below("stages").items()):
        names = path.split("/")
        depth = 2 if names[0] == CHECKPOINT else 1
        if len(names) > depth + 1:
            own = parts.setdefault(("/".join(names[:depth]), names[depth]), {})
            own[names[depth + 1]] = own.get(names[depth + 1], 0) + size
    return [Stored(kind, key, own) for (kind, key), own in parts.items()]
