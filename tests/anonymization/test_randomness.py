"""Random numbers: reproducible, well shaped, and worthless to whoever has the seed alone."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sfumato.anonymization.randomness import RandomStream, digest
from sfumato.errors import DataError

TABLE = pl.DataFrame({"id": [1, 2, 3], "weight": [70.5, 80.25, None], "note": ["a", "", None]})


def test_the_digest_is_of_every_name_type_and_cell() -> None:
    found = {
        digest(TABLE),
        digest(TABLE.rename({"note": "text"})),
        digest(TABLE.with_columns(pl.col("id").cast(pl.Int32))),
        digest(TABLE.with_columns(note=pl.Series(["a", None, None]))),
        digest(TABLE.with_columns(note=pl.Series(["a", "", ""]))),
        digest(TABLE.with_columns(weight=pl.Series([70.5, 80.25, 0.0]))),
        digest(TABLE.with_columns(weight=pl.Series([70.5, 80.25000000000001, None]))),
        digest(TABLE.reverse()),
        digest(TABLE.drop("id")),
        digest(TABLE.clear()),
    }
    assert len(found) == 10
    assert digest(TABLE.select("note", "weight", "id")) == digest(TABLE)


def test_cells_do_not_run_into_each_other() -> None:
    first = pl.DataFrame({"a": ["x,y", "z"], "b": ["u", "v"]})
    second = pl.DataFrame({"a": ["x", "z"], "b": ["y,u", "v"]})
    third = pl.DataFrame({"a": ['x","y', "z"], "b": ["u", "v"]})
    assert len({digest(first), digest(second), digest(third)}) == 3


def test_the_digest_is_the_same_in_every_version() -> None:
    text = '5:count:Int64\n4:name:String\n1,"a"\n,""\n'
    table = pl.DataFrame({"name": ["a", ""], "count": [1, None]})
    assert digest(table) == hashlib.sha256(text.encode()).digest()


def test_a_nested_column_is_refused() -> None:
    with pytest.raises(DataError, match="column 'x' holds List"):
        digest(pl.DataFrame({"x": [[1]]}))


def test_words_are_those_of_shake_256() -> None:
    stream = RandomStream(bytes(32))
    octets = hashlib.shake_256(bytes(32) + bytes(8) + b"draw").digest(24)
    assert stream.words(3, "draw").tolist() == [
        int.from_bytes(octets[i : i + 8], "little") for i in (0, 8, 16)
    ]
    assert stream.words(2, "draw").tolist() == stream.words(3, "draw").tolist()[:2]


def test_streams_differ_by_seed_secret_and_purpose() -> None:
    streams = [
        RandomStream.of(1, b"secret", "age", "0"),
        RandomStream.of(2, b"secret", "age", "0"),
        RandomStream.of(1, b"Secret", "age", "0"),
        RandomStream.of(1, b"secret", "bmi", "0"),
        RandomStream.of(1, b"secret", "age", "1"),
        RandomStream.of(1, b"secret", "age0", ""),
        RandomStream.of(1, b"secretage", "0"),
    ]
    assert len({stream.key for stream in streams}) == len(streams)
    assert RandomStream.of(1, b"secret", "age", "0") == streams[0]
    assert "secret" not in repr(streams[0])
    assert streams[0].key.hex() not in repr(streams[0])


def test_numbers_have_their_distribution() -> None:
    stream = RandomStream.of(0, b"distribution")
    n = 20_000
    uniforms = stream.uniforms(n)
    assert 0 < uniforms.min() < uniforms.max() < 1
    assert stats.kstest(uniforms, "uniform").pvalue > 0.001
    assert stats.kstest(stream.gaussians(n), "norm").pvalue > 0.001
    assert stats.kstest(stream.laplacians(n), "laplace").pvalue > 0.001
    assert abs(np.corrcoef(uniforms[1:], uniforms[:-1])[0, 1]) < 0.03


def test_the_ends_of_the_uniform_numbers_stay_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = np.array([0, 2**64 - 1], dtype=np.uint64)
    monkeypatch.setattr(RandomStream, "words", lambda *_: ends)
    stream = RandomStream(b"")
    for numbers in (stream.uniforms(2), stream.gaussians(2), stream.laplacians(2)):
        assert np.isfinite(numbers).all()
        assert numbers[0] < numbers[1]
