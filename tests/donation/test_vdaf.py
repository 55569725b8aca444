"""The VDAF draft's algorithms against its own vectors, bit by bit, and against malformed bytes."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.vdaf.extendable_output import (
    XofFixedKeyAes128,
    XofTurboShake128,
    next_vector,
)
from sfumato.donation.vdaf.fields import FIELD64, FIELD128, FIELD255
from sfumato.donation.vdaf.idpf import Idpf
from sfumato.donation.vdaf.poplar1 import AggregationParameter, Poplar1, Refused
from sfumato.donation.vdaf.turbo_shake import TurboShake128
from sfumato.errors import ProtocolError

VECTORS = Path(__file__).parent / "vectors"
POPLAR1 = sorted(VECTORS.glob("Poplar1_*.json"))


def vector(name):
    return json.loads((VECTORS / name).read_text())


def test_turbo_shake_gives_the_bytes_of_rfc_9861():
    assert TurboShake128(b"", 0x1F).read(32).hex() == (
        "1e415f1c5983aff2169217277d17bb538cd945a397ddec541f1ce41af2c1b74c"
    )


def test_turbo_shake_read_in_parts_is_one_stream():
    message = bytes(range(250)) * 2
    whole = TurboShake128(message, 7).read(500)
    stream = TurboShake128(message, 7)
    assert stream.read(1) + stream.read(167) + stream.read(332) == whole


@pytest.mark.parametrize("xof", [XofTurboShake128, XofFixedKeyAes128])
def test_xofs_give_the_drafts_bytes(xof):
    case = vector(f"{xof.__name__}.json")
    given_ = [bytes.fromhex(case[name]) for name in ("seed", "dst", "binder")]
    assert xof(*given_).next(xof.seed_bytes).hex() == case["derived_seed"]
    numbers = next_vector(xof(*given_), FIELD128, case["length"])
    assert FIELD128.encode(numbers).hex() == case["expanded_vec_field128"]


def test_idpf_gives_the_drafts_public_share():
    case = vector("IdpfBBCGGI21_0.json")
    family = Idpf(case["bits"], 2)
    values = [[int(number) for number in value] for value in case["beta_inner"]]
    values.append([int(number) for number in case["beta_leaf"]])
    context, nonce = bytes.fromhex(case["ctx"]), bytes.fromhex(case["nonce"])
    public, keys = family.generate(
        tuple(case["alpha"]),
        values,
        context=context,
        nonce=nonce,
        randomness=b"".join(bytes.fromhex(key) for key in case["keys"]),
    )
    encoded = family.encode(public)
    assert encoded.hex() == case["public_share"]
    assert family.decode(encoded) == public
    for length in range(1, 11):
        own = tuple(case["alpha"][:length])
        prefixes = [own, (*own[:-1], not own[-1])]
        shares = [
            family.evaluate(party, public, keys[party], prefixes, context=context, nonce=nonce)
            for party in (0, 1)
        ]
        field = family.field_of(length - 1)
        assert field.add(shares[0][0], shares[1][0]) == values[length - 1]
        assert field.add(shares[0][1], shares[1][1]) == [0, 0]


@settings(deadline=None, max_examples=12)
@given(st.lists(st.booleans(), min_size=2, max_size=5), st.binary(min_size=48, max_size=48))
def test_every_prefix_of_every_string_is_counted_once(string, randomness):
    family = Idpf(len(string), 1)
    kept = {"context": b"", "nonce": randomness[:16]}
    values = [[7 + level] for level in range(len(string))]
    public, keys = family.generate(tuple(string), values, randomness=randomness[16:], **kept)
    for length in (1, len(string)):
        prefixes = [
            tuple(bool(number >> place & 1) for place in range(length))
            for number in range(1 << length)
        ]
        zero, one = (
            family.evaluate(party, public, keys[party], prefixes, **kept) for party in (0, 1)
        )
        for prefix, first, second in zip(prefixes, zero, one, strict=True):
            wanted = [6 + length] if prefix == tuple(string[:length]) else [0]
            assert family.field_of(length - 1).add(first, second) == wanted


@pytest.mark.parametrize("path", POPLAR1, ids=lambda path: path.stem)
def test_poplar1_gives_the_drafts_messages_and_refuses_its_bad_report(path):
    case = json.loads(path.read_text())
    family = Poplar1(case["bits"])
    parameter = AggregationParameter.decode(bytes.fromhex(case["agg_param"]))
    assert parameter.encode().hex() == case["agg_param"]
    numbers = family.idpf.field_of(parameter.level)
    verify_key, context = bytes.fromhex(case["verify_key"]), bytes.fromhex(case["ctx"])
    accepted = []
    for report in case["reports"]:
        nonce, public = bytes.fromhex(report["nonce"]), bytes.fromhex(report["public_share"])
        encoded = [bytes.fromhex(share) for share in report["input_shares"]]
        shares = [family.decode_input_share(share) for share in encoded]
        if any(step["operation"] == "shard" for step in case["operations"]):
            made, parts = family.shard(
                tuple(report["measurement"]),
                context=context,
                nonce=nonce,
                randomness=bytes.fromhex(report["rand"]),
            )
            assert made.hex() == report["public_share"]
            assert list(parts) == shares
            assert [family.encode_input_share(part) for part in parts] == encoded
        begun = [
            family.begin(
                verify_key, party, parameter, public, shares[party], context=context, nonce=nonce
            )
            for party in (0, 1)
        ]
        sketches, sent = zip(*begun, strict=True)
        assert [numbers.encode(part).hex() for part in sent] == report["verifier_shares"][0]
        message = family.combine(sketches[0], *sent)
        assert numbers.encode(message).hex() == report["verifier_messages"][0]
        sent = [family.proceed(sketch, message) for sketch in sketches]
        assert [numbers.encode(part).hex() for part in sent] == report["verifier_shares"][1]
        if all(step["success"] for step in case["operations"]):
            assert family.combine(sketches[0], *sent) == []
            accepted.append([list(sketch.counts) for sketch in sketches])
        else:
            with pytest.raises(Refused, match="sketch"):
                family.combine(sketches[0], *sent)
    if not accepted:
        assert case["agg_result"] is None
        return
    totals = []
    for party in (0, 1):
        total = [0] * len(parameter.prefixes)
        for counts in accepted:
            total = numbers.add(total, counts[party])
        totals.append(total)
    assert [numbers.encode(total).hex() for total in totals] == case["agg_shares"]
    assert numbers.add(*totals) == case["agg_result"]


def test_a_vector_of_a_bad_report_is_among_those_tested():
    assert len(POPLAR1) == 7
    assert [path.stem for path in POPLAR1 if "bad" in path.stem] == ["Poplar1_bad_corr_inner"]


def report(bits=3, seed=bytes(range(128))):
    family = Poplar1(bits)
    kept = {"context": b"test", "nonce": bytes(16)}
    public, shares = family.shard((True,) * bits, randomness=seed, **kept)
    return family, public, shares, kept


@pytest.mark.parametrize("place", ["count", "authenticator", "seed", "control", "key", "triple"])
def test_a_changed_report_is_refused(place):
    family, public, shares, kept = report()
    prefixes = ((False, False), (False, True), (True, False), (True, True))
    words = family.idpf.decode(public)
    first = words[0 if place in {"seed", "control"} else 1]
    modulus = 2**64 - 2**32 + 1
    changed = {
        "count": {"value": ((first.value[0] + 1) % modulus, first.value[1])},
        "authenticator": {"value": (first.value[0], (first.value[1] + 1) % modulus)},
        "seed": {"seed": bytes((first.seed[0] ^ 2,)) + first.seed[1:]},
        "control": {"controls": (first.controls[0] ^ 1, first.controls[1])},
    }
    if place in changed:
        kind = type(first)
        whole = {"seed": first.seed, "controls": first.controls, "value": first.value}
        words[words.index(first)] = kind(**{**whole, **changed[place]})
        public = family.idpf.encode(words)
    elif place == "key":
        kind = type(shares[0])
        key = bytes((shares[0].key[0] ^ 4,)) + shares[0].key[1:]
        shares = kind(key, shares[0].seed, shares[0].inner, shares[0].leaf), shares[1]
    else:
        kind = type(shares[0])
        inner = (*shares[0].inner[:3], (shares[0].inner[3] + 1) % modulus)
        shares = kind(shares[0].key, shares[0].seed, inner, shares[0].leaf), shares[1]
    sketches, sent = zip(
        *(
            family.begin(
                bytes(32), party, AggregationParameter(prefixes), public, shares[party], **kept
            )
            for party in (0, 1)
        ),
        strict=True,
    )
    message = family.combine(sketches[0], *sent)
    with pytest.raises(Refused):
        family.combine(sketches[0], *(family.proceed(sketch, message) for sketch in sketches))


def test_malformed_bytes_are_refused():
    family, public, shares, _ = report()
    encoded = family.encode_input_share(shares[0])
    too_large = (2**64 - 1).to_bytes(8, "little")
    for raw in (b"", encoded[:-1], encoded + b"\0", encoded[:48] + too_large + encoded[56:]):
        with pytest.raises(ProtocolError):
            family.decode_input_share(raw)
    for raw in (b"", public[:-1], public + b"\0", bytes((public[0] | 0x80,)) + public[1:]):
        with pytest.raises(ProtocolError):
            family.idpf.decode(raw)
    for raw in ("", "0000", "000000000000", "000000000001", "00000000000240", "0000000000028000"):
        with pytest.raises(ProtocolError):
            AggregationParameter.decode(bytes.fromhex(raw))
    with pytest.raises(ProtocolError, match="whole number"):
        FIELD255.decode(bytes(33))
    with pytest.raises(ProtocolError, match="modulus"):
        FIELD64.decode(too_large)


def test_prefixes_are_counted_from_short_to_long_below_counted_ones():
    short = AggregationParameter(((False,), (True,)))
    long = AggregationParameter(((True, False), (True, True)))
    assert long.may_follow(short)
    assert not short.may_follow(long)
    assert not long.may_follow(AggregationParameter(((False,),)))
    with pytest.raises(ProtocolError, match="ascending"):
        AggregationParameter(((True,), (False,)))
    with pytest.raises(ProtocolError, match="one length"):
        AggregationParameter(())


def test_arguments_out_of_range_are_refused():
    family, public, shares, kept = report()
    with pytest.raises(ProtocolError, match="at least 1"):
        Idpf(0, 1)
    with pytest.raises(ProtocolError, match="randomness"):
        family.shard((True,) * 3, randomness=b"", **kept)
    with pytest.raises(ProtocolError, match="levels"):
        family.shard((True,) * 2, randomness=bytes(128), **kept)
    parameter = AggregationParameter(((True,) * 4,))
    with pytest.raises(ProtocolError, match="bits"):
        family.begin(bytes(32), 0, parameter, public, shares[0], **kept)
    parameter = AggregationParameter(((True,),))
    with pytest.raises(ProtocolError, match="verification key"):
        family.begin(b"", 0, parameter, public, shares[0], **kept)
    with pytest.raises(ProtocolError, match="party"):
        family.begin(bytes(32), 2, parameter, public, shares[0], **kept)
    with pytest.raises(ProtocolError, match="seed"):
        XofFixedKeyAes128(b"", b"", b"")


def test_nothing_secret_is_printed():
    _, _, shares, _ = report()
    assert repr(shares[0]) == "InputShare()"
