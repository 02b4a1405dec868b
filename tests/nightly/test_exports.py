from pathlib import Path

import pytest

from mobileopt import commits
from mobileopt.errors import CombinationError
from mobileopt.nightly.exports import Exports
from mobileopt.variant import Variant


@pytest.mark.slow
def test_an_artifact_is_exported_once_by_its_commits_own_code_and_a_refusal_is_told(tmp_path):
    head = commits.resolve(Path(), "HEAD")
    exports = Exports(Path(), tmp_path)
    variant = Variant.parse("mlp/fused-float-nchw-mobile")
    made = exports.get(head, variant)
    assert made.variant == variant
    assert head in str(made.folder)
    written = made.path.stat().st_mtime_ns
    assert exports.get(head, variant).path.stat().st_mtime_ns == written
    with pytest.raises(CombinationError, match="NHWC"):
        exports.get(head, Variant.parse("mlp/fused-float-nhwc-mobile"))
