"""What holds for every payload: round trip, canonical recode, bounded size, one digest, the same bytes everywhere."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import numpy as np
import pytest
from backends import BACKENDS, INDEX_NAMES, LABEL_NAMES, told
from hypothesis import assume, example, given
from hypothesis import strategies as st
from strategies import contents

import plada_format as pf
from fuzz import oracle, reference
from plada_format import accel
from plada_format.codecs import SINCE_1_1

ANY = pf.Limits(2**32 - 1, 2**32 - 1)
index_names, label_names = st.sampled_from(INDEX_NAMES), st.sampled_from(LABEL_NAMES)


def assert_holds(p: pf.Payload, content: dict[str, Any]) -> None:
    """The payload is what was encoded; weights and soft labels as far as their resolution goes."""
    assert p.indices.dtype == np.uint32
    assert p.labels.dtype == np.uint16
    assert p.indices.tolist() == content["indices"].tolist()
    assert p.labels.tolist() == content["labels"].tolist()
    assert (p.pool_size, p.num_classes) == (content["pool_size"], content["num_classes"])
    assert p.pool_fingerprint == content.get("pool_fingerprint")
    names = content.get("class_names")
    assert p.class_names == (None if names is None else tuple(unicodedata.normalize("NFC", s) for s in names))
    nfc = {
        unicodedata.normalize("NFC", k): unicodedata.normalize("NFC", v) for k, v in content.get("metadata", {}).items()
    }
    assert dict(p.metadata) == nfc
    assert dict(p.extra) == content.get("extra", {})
    weights = content.get("weights")
    if weights is None or len(weights) == 0:
        assert p.weights is None
    else:
        assert p.weights is not None
        expected = np.clip(weights, 2.0**-8, 2.0 ** (127 / 16))
        assert np.all(np.abs(np.log2(p.weights / expected)) <= 1 / 32 + 1e-5)
    soft = content.get("soft_labels")
    if soft is None:
        assert p.soft_labels is None
    else:
        assert p.soft_labels is not None
        assert np.abs(p.soft_labels - soft).max() < 1 / 255
        assert np.allclose(p.soft_labels.sum(1), 1, atol=1e-6)


def keys_stay_distinct(content: dict[str, Any]) -> bool:
    """Whether metadata keys are still different in normalisation form C."""
    keys = list(content.get("metadata", {}))
    return len({unicodedata.normalize("NFC", k) for k in keys}) == len(keys)


def groups_for(content: dict[str, Any], *codecs: str) -> dict[str, Any]:
    """Groups as an argument, where the codecs need some; contents without a pool are left out then."""
    assume(content["pool_size"] > 0 or "adaptive-groups" not in codecs)
    return told(content["pool_size"], *codecs)


INDEX_CHOICES = st.sampled_from(["auto", "golomb", "runs", "rans", "delta-zstd", "adaptive", "adaptive-groups"])


@given(contents(huge=True), label_names, INDEX_CHOICES)
def test_round_trip(content: dict[str, Any], label: str, index: str) -> None:
    assume(keys_stay_distinct(content))
    if index == "auto" and content["pool_size"] > 1 << 24:
        index = "rans"  # a bitmap of 512 MiB is no unit test
    groups = groups_for(content, index, label)
    data = pf.encode(**content, **groups, index_codec=index, label_codec=label)
    assert_holds(pf.decode(data, **groups, limits=ANY), content)
    assert pf.recode(data, **groups, limits=ANY) == data


@given(contents(), st.sampled_from(["baseline", "compact", "full"]), st.booleans())
def test_auto_round_trip(content: dict[str, Any], profile: str, grouped: bool) -> None:
    assume(keys_stay_distinct(content))
    groups = told(content["pool_size"], "adaptive-groups") if grouped else {}
    data = pf.encode(**content, **groups, profile=profile)
    assert_holds(pf.decode(data, **groups), content)
    assert pf.recode(data, **groups) == data
    types = {s.type for s in pf.inspect(data).sections}
    if profile != "full":
        assert not oracle.ZSTD_TYPES & types
    if profile == "baseline":
        assert not SINCE_1_1 & types
    if groups:  # groups are used only where they pay for their digest
        assert len(data) <= len(pf.encode(**content, profile=profile))


@pytest.mark.codec
@pytest.mark.parametrize("label", LABEL_NAMES)
@pytest.mark.parametrize("index", INDEX_NAMES)
@given(content=contents(ancillary=False))
def test_each_pair_of_codecs(index: str, label: str, content: dict[str, Any]) -> None:
    groups = groups_for(content, index, label)
    data = pf.encode(**content, **groups, index_codec=index, label_codec=label)
    p = pf.decode(data, pool_size=content["pool_size"], **groups)
    assert_holds(p, content)
    assert (p.header.index_codec, p.header.label_codec) == (index, label)
    assert pf.recode(data, **groups) == data


@given(contents(ancillary=False), st.sampled_from(["baseline", "full"]))
def test_size_stays_below_the_documented_maximum(content: dict[str, Any], profile: str) -> None:
    size = len(pf.encode(**content, profile=profile))
    n, k, classes = content["pool_size"], len(content["indices"]), content["num_classes"]
    assert size <= math.ceil(n / 8) + math.ceil(k * (classes - 1).bit_length() / 8) + 72


@given(contents(ancillary=False))
def test_overhead_is_at_most_72_bytes(content: dict[str, Any]) -> None:
    header = pf.inspect(pf.encode(**content))
    assert 62 <= header.overhead <= 72


@given(contents(ancillary=False), index_names, label_names, index_names, label_names)
def test_digest_and_equality_do_not_depend_on_codecs(
    content: dict[str, Any], index: str, label: str, other_index: str, other_label: str
) -> None:
    groups = groups_for(content, index, label, other_index, other_label)
    one = pf.encode(**content, **groups, index_codec=index, label_codec=label)
    two = pf.recode(one, **groups, index_codec=other_index, label_codec=other_label)
    assert pf.inspect(one).content_digest == pf.inspect(two).content_digest
    assert pf.decode(one, **groups) == pf.decode(two, **groups)
    assert hash(pf.decode(one, **groups)) == hash(pf.decode(two, **groups))
    assert two == pf.encode(**content, **groups, index_codec=other_index, label_codec=other_label)


@given(contents(ancillary=False), st.data())
def test_digest_sees_every_change_of_the_content(content: dict[str, Any], data: st.DataObject) -> None:
    digest = pf.inspect(pf.encode(**content, index_codec="golomb", label_codec="fixed")).content_digest
    other = dict(content)
    what = data.draw(st.sampled_from(["pool_size", "num_classes", "labels", "indices"]))
    if what == "pool_size":
        other["pool_size"] += 1
    elif what == "num_classes":
        assume(content["num_classes"] < 65_536)
        other["num_classes"] += 1
    elif what == "labels":
        assume(len(content["labels"]) and content["num_classes"] > 1)
        entry = data.draw(st.integers(0, len(content["labels"]) - 1))
        other["labels"] = content["labels"].copy()
        other["labels"][entry] = (other["labels"][entry] + 1) % content["num_classes"]
    else:
        assume(len(content["indices"]) > 0 and content["indices"][-1] + 1 < content["pool_size"])
        other["indices"] = content["indices"].copy()
        other["indices"][-1] += 1
    assert pf.inspect(pf.encode(**other, index_codec="golomb", label_codec="fixed")).content_digest != digest


@pytest.mark.codec
@given(contents(), index_names, label_names)
def test_back_ends_write_and_read_the_same(content: dict[str, Any], index: str, label: str) -> None:
    assume(keys_stay_distinct(content))
    files = set()
    groups = groups_for(content, index, label)
    for mode in BACKENDS:
        with accel.use(mode):
            files.add(pf.encode(**content, **groups, index_codec=index, label_codec=label))
    assert len(files) == 1
    oracle.same_everywhere(files.pop(), modes=tuple(BACKENDS), limits=ANY)


@given(contents())
@example({"indices": np.arange(3), "labels": np.zeros(3, np.int64), "pool_size": 9, "num_classes": 2})
def test_same_arguments_give_the_same_bytes(content: dict[str, Any]) -> None:
    assume(keys_stay_distinct(content))
    copy = {key: (value.copy() if isinstance(value, np.ndarray) else value) for key, value in content.items()}
    if "metadata" in copy:  # the order of pairs is not content
        copy["metadata"] = dict(reversed(content["metadata"].items()))
    assert pf.encode(**content) == pf.encode(**copy)


@given(contents(ancillary=False), index_names, label_names)
def test_a_decoder_written_from_the_specification_agrees(content: dict[str, Any], index: str, label: str) -> None:
    groups = groups_for(content, index, label)
    data = pf.encode(**content, **groups, index_codec=index, label_codec=label)
    name, other = reference.verdict(data, groups=groups["groups"].tolist() if groups else None)
    assert name == "accepted"
    assert other is not None
    assert other["indices"] == content["indices"].tolist()
    assert other["labels"] == content["labels"].tolist()
    assert (other["pool_size"], other["num_classes"]) == (content["pool_size"], content["num_classes"])


@given(contents())
def test_recode_changes_only_what_it_is_told(content: dict[str, Any]) -> None:
    assume(keys_stay_distinct(content))
    data = pf.encode(**content)
    before = pf.decode(data)
    named = pf.decode(pf.recode(data, metadata={"a": "b"}, pool_fingerprint=b"0123456789abcdef"))
    assert dict(named.metadata) == {"a": "b"}
    assert named.pool_fingerprint == b"0123456789abcdef"
    assert named.class_names == before.class_names
    assert np.array_equal(named.indices, before.indices)
    assert (named.weights is None) == (before.weights is None)
    bare = pf.decode(pf.recode(data, drop=[s.type for s in before.header.sections[2:]], pool_fingerprint=None))
    assert bare.header.sections[2:] == ()
    assert bare.pool_fingerprint is None
    assert bare.header.content_digest == before.header.content_digest
