"""The Inception-v3 spaces with random weights, against torch-fidelity, torchmetrics and torchvision."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from raycollapse.errors import RequestError
from raycollapse.features import Inception, InceptionTorchvision, inception
from raycollapse.features.files import content_hash
from raycollapse.features.inception_network import InceptionV3, Variant
from raycollapse.metrics.frechet import frechet_distance

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)

GOLDEN_FID = [[0.1036, 1.9492, 0, 13.0482, 0], [0.0885, 1.7109, 0, 16.2442, 0]]
GOLDEN_TORCHVISION = [[0.0321, 1.9530, 0, 13.3131, 0], [0.0570, 2.0023, 0, 15.8181, 0]]
"""Every 500th feature of two small images, recorded when all of them were bit for bit those of torch-fidelity 0.4.0 and
of torchvision 0.29.1 given the same random weights: the tests against these two packages run where they import."""


def _random_state(variant: Variant, num_classes: int) -> dict[str, torch.Tensor]:
    """Weights and statistics drawn so that no term of the network is trivial, and images keep apart to the end."""
    torch.manual_seed(0)
    network = InceptionV3(variant)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    classifier = {"fc.weight": torch.randn(num_classes, 2048), "fc.bias": torch.randn(num_classes)}
    return {**network.state_dict(), **classifier}


@pytest.fixture(scope="module")
def fid_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published one's form: the network's arrays and a classifier of 1,008 classes."""
    path = tmp_path_factory.mktemp("weights") / "fid.pth"
    torch.save(_random_state("fid", 1008), path)
    return path


@pytest.fixture(scope="module")
def torchvision_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published one's form: 1,000 classes, and an auxiliary classifier."""
    path = tmp_path_factory.mktemp("weights") / "torchvision.pth"
    auxiliary = {"AuxLogits.fc.weight": torch.zeros(1000, 768), "AuxLogits.conv0.conv.weight": torch.zeros(1)}
    torch.save({**_random_state("torchvision", 1000), **auxiliary}, path)
    return path


@pytest.fixture
def fid(fid_file: Path, monkeypatch: pytest.MonkeyPatch) -> Inception:
    monkeypatch.setattr(inception, "FID_WEIGHTS", replace(inception.FID_WEIGHTS, sha256_prefix=content_hash(fid_file)))
    return Inception(weights=fid_file)


@pytest.fixture
def torchvision(torchvision_file: Path, monkeypatch: pytest.MonkeyPatch) -> InceptionTorchvision:
    known = replace(inception.TORCHVISION_WEIGHTS, sha256_prefix=content_hash(torchvision_file))
    monkeypatch.setattr(inception, "TORCHVISION_WEIGHTS", known)
    return InceptionTorchvision(weights=torchvision_file)


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets modules of torch-fidelity be imported one by one: the package as a whole wants torchvision."""
    spec = find_spec("torch_fidelity")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("the package torch-fidelity is not installed")
    package = ModuleType("torch_fidelity")
    package.__path__ = list(spec.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)


@pytest.mark.parametrize("side", [8, 32])
def test_the_fid_network_gives_torch_fidelitys_features(
    fidelity: None, fid: Inception, fid_file: Path, side: int
) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    images = IMAGES[:, :side, :side]
    reference = FeatureExtractorInceptionV3("fid", ["2048"], str(fid_file))
    with torch.no_grad():
        expected = reference(torch.from_numpy(images).permute(0, 3, 1, 2))[0].numpy()
    features = fid.extract(images)
    assert (features.shape, features.dtype) == ((4, 2048), np.float32)
    assert np.abs(features - expected).max() < 1e-4 < 1e-2 < expected.std(axis=0).mean()


@pytest.mark.slow
def test_a_frechet_distance_in_its_space_is_torchmetrics_fid(fidelity: None, fid: Inception, fid_file: Path) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    rng = np.random.default_rng(1)
    real = rng.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    dark = (rng.integers(0, 256, (24, 8, 8, 3)) // 3).astype(np.uint8)
    reference = FrechetInceptionDistance(feature_extractor_weights_path=str(fid_file), antialias=False)
    for images, is_real in ((real, True), (dark, False)):
        reference.update(torch.from_numpy(images).permute(0, 3, 1, 2), real=is_real)
    ours = frechet_distance(fid.extract(real), fid.extract(dark))
    assert ours == pytest.approx(float(reference.compute()), rel=1e-3) and ours > 1


def _torchvision_features(state: dict[str, torch.Tensor], images: NDArray[np.uint8]) -> NDArray[np.float32]:
    models = pytest.importorskip("torchvision.models", reason="torchvision does not import here", exc_type=Exception)
    network = models.inception_v3(weights=None, aux_logits=False, init_weights=False).eval()
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith("AuxLogits")})
    network.fc = nn.Identity()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    pixels = nn.functional.interpolate(pixels, (299, 299), mode="bilinear", align_corners=False) * 2 - 1
    with torch.no_grad():
        features: NDArray[np.float32] = network(pixels).numpy()
    return features


def test_the_torchvision_network_gives_torchvisions_features(
    torchvision: InceptionTorchvision, torchvision_file: Path
) -> None:
    expected = _torchvision_features(torch.load(torchvision_file, weights_only=True), IMAGES)
    assert np.abs(torchvision.extract(IMAGES) - expected).max() < 1e-4 < 1e-2 < expected.std(axis=0).mean()


@pytest.mark.parametrize(("name", "expected"), [("fid", GOLDEN_FID), ("torchvision", GOLDEN_TORCHVISION)])
def test_features_are_as_they_were_when_they_equalled_the_references(
    fid: Inception, torchvision: InceptionTorchvision, name: str, expected: list[list[float]]
) -> None:
    features = {"fid": fid, "torchvision": torchvision}[name].extract(IMAGES[:2, :8, :8])
    assert features[:, ::500] == pytest.approx(np.array(expected), rel=2e-3)  # as many digits as are written


def test_the_variants_share_a_layout_of_weights_and_differ_in_their_pools() -> None:
    state = {key: value for key, value in _random_state("fid", 1).items() if not key.startswith("fc.")}
    features = []
    for variant in ("fid", "torchvision"):
        network = InceptionV3(variant).eval()
        network.load_state_dict(state)
        with torch.no_grad():
            features.append(network(torch.ones(1, 3, 299, 299)))
    assert (features[0] - features[1]).abs().max() > 0.01


def test_grayscale_is_repeated_in_three_channels(fid: Inception) -> None:
    gray = IMAGES[..., :1]
    assert np.array_equal(fid.extract(gray), fid.extract(gray.repeat(3, axis=3)))


def test_the_batch_size_changes_no_more_than_last_bits(fid: Inception) -> None:
    whole = fid.extract(IMAGES)
    for size in (1, 3):
        # Sums of up to 3,456 products a layer in another order, eps x sqrt(3456) = 7e-6, over some 17 layers in turn
        parts = fid.model_copy(update={"batch_size": size}).extract(IMAGES)
        assert np.abs(parts - whole).max() < 17 * 7e-6 * np.abs(whole).max()


def test_other_weights_are_refused_with_their_hash(fid_file: Path) -> None:
    with pytest.raises(
        RequestError, match=r"fid\.pth does not hold the weights of the FID network.* not with 6726825d"
    ):
        Inception(weights=fid_file, batch_size=7).extract(IMAGES)


def test_missing_weights_are_an_error_that_says_where_they_go_and_where_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    for extractor, file in (
        (Inception(), "weights-inception-2015-12-05-6726825d.pth"),
        (InceptionTorchvision(), "inception_v3_google-0cc3c7bd.pth"),
    ):
        with pytest.raises(RequestError) as caught:
            extractor.extract(IMAGES)
        assert f"not at {tmp_path}/hub/checkpoints/{file}" in str(caught.value)
        assert "no network" in str(caught.value)
        assert f"curl -L -O {extractor.published().url}" in str(caught.value)


def test_weights_in_the_cache_are_found_and_need_no_network(
    fid: Inception, fid_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    cached = fid.published().cached_at()
    cached.parent.mkdir(parents=True)
    cached.write_bytes(fid_file.read_bytes())
    assert np.array_equal(Inception().extract(IMAGES), fid.extract(IMAGES))


def test_where_the_weights_lie_is_no_part_of_the_identity(fid: Inception) -> None:
    assert fid.identity() == Inception().identity()
    assert "weights" not in fid.identity()


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"there is no file /not/there\.pth; leave weights out"):
        Inception(weights=Path("/not/there.pth"))


def test_the_spaces_have_different_names_and_identities() -> None:
    assert (Inception().space, InceptionTorchvision().space) == ("inception", "inception_torchvision")
    assert Inception().identity()["sha256"] != InceptionTorchvision().identity()["sha256"]
