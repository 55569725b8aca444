"""HPKE, Ed25519 and blind signatures: known answers, round trips, and what is refused."""

import importlib
import os
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.protecting import (
    EnvelopeKey,
    Registrar,
    SigningKey,
    TokenDesk,
    TokenRequest,
    check_signature,
    check_token,
    enc_bytes,
    seal,
)
from sfumato.donation.protecting.blind_signatures import blind, blind_sign, finalize, is_valid
from sfumato.donation.protecting.tokens import token_bytes
from sfumato.errors import EngineError, MissingExtra, ProtocolError

KEMS = ("x25519", "mlkem768-x25519")

# The test vector of draft-irtf-cfrg-rsa-blind-signatures for EMSA-PSS with SHA-384 and a salt of 48
# bytes, which RFC 9474, appendix A, repeats for RSABSSA-SHA384-PSS-Deterministic.
P = int(
    "e1f4d7a34802e27c7392a3cea32a262a34dc3691bd87f3f310dc75673488930559c120fd0410194fb8a0da55bd0b8122"
    "7e843fdca6692ae80e5a5d414116d4803fca7d8c30eaaae57e44a1816ebb5c5b0606c536246c7f11985d731684150b63"
    "c9a3ad9e41b04c0b5b27cb188a692c84696b742a80d3cd00ab891f2457443dadfeba6d6daf108602be26d7071803c671"
    "05a5426838e6889d77e8474b29244cefaf418e381b312048b457d73419213063c60ee7b0d81820165864fef93523c963"
    "5c22210956e53a8d96322493ffc58d845368e2416e078e5bcb5d2fd68ae6acfa54f9627c42e84a9d3f2774017e32ebca"
    "06308a12ecc290c7cd1156dcccfb2311",
    16,
)
Q = int(
    "c601a9caea66dc3835827b539db9df6f6f5ae77244692780cd334a006ab353c806426b60718c05245650821d39445d3a"
    "b591ed10a7339f15d83fe13f6a3dfb20b9452c6a9b42eaa62a68c970df3cadb2139f804ad8223d56108dfde30ba7d367"
    "e9b0a7a80c4fdba2fd9dde6661fc73fc2947569d2029f2870fc02d8325acf28c9afa19ecf962daa7916e21afad09eb62"
    "fe9f1cf91b77dc879b7974b490d3ebd2e95426057f35d0a3c9f45f79ac727ab81a519a8b9285932d9b2e5ccd347e59f3"
    "f32ad9ca359115e7da008ab7406707bd0e8e185a5ed8758b5ba266e8828f8d863ae133846304a2936ad7bc7c9803879d"
    "2fc4a28e69291d73dbd799f8bc238385",
    16,
)
MESSAGE = bytes.fromhex(
    "8f3dc6fb8c4a02f4d6352edf0907822c1210a9b32f9bdda4c45a698c80023aa6b59f8cfec5fdbb36331372ebefedae7d"
)
SALT = bytes.fromhex(
    "051722b35f458781397c3a671a7d3bd3096503940e4c4f1aaa269d60300ce449555cd7340100df9d46944c5356825abf"
)
INVERSE = int(
    "80682c48982407b489d53d1261b19ec8627d02b8cda5336750b8cee332ae260de57b02d72609c1e0e9f28e2040fc65b6"
    "f02d56dbd6aa9af8fde656f70495dfb723ba01173d4707a12fddac628ca29f3e32340bd8f7ddb557cf819f6b01e445ad"
    "96f874ba235584ee71f6581f62d4f43bf03f910f6510deb85e8ef06c7f09d9794a008be7ff2529f0ebb69decef646387"
    "dc767b74939265fec0223aa6d84d2a8a1cc912d5ca25b4e144ab8f6ba054b54910176d5737a2cff011da431bd5f2a0d2"
    "d66b9e70b39f4b050e45c0d9c16f02deda9ddf2d00f3e4b01037d7029cd49c2d46a8e1fc2c0c17520af1f4b5e25ba396"
    "afc4cd60c494a4c426448b35b49635b337cfb08e7c22a39b256dd032c00adddafb51a627f99a0e1704170ac1f1912e49"
    "d9db10ec04c19c58f420212973e0cb329524223a6aa56c7937c5dffdb5d966b6cd4cbc26f3201dd25c80960a1a111b32"
    "947bb78973d269fac7f5186530930ed19f68507540eed9e1bab8b00f00d8ca09b3f099aae46180e04e3584bd7ca054df"
    "18a1504b89d1d1675d0966c4ae1407be325cdf623cf13ff13e4a28b594d59e3eadbadf6136eee7a59d6a444c9eb4e219"
    "8e8a974f27a39eb63af2c9af3870488b8adaad444674f512133ad80b9220e09158521614f1faadfe8505ef57b7df6813"
    "048603f0dd04f4280177a11380fbfc861dbcbd7418d62155248dad5fdec0991f",
    16,
)
BLIND_SIGNATURE = bytes.fromhex(
    "364f6a40dbfbc3bbb257943337eeff791a0f290898a6791283bba581d9eac90a6376a837241f5f73a78a5c6746e1306b"
    "a3adab6067c32ff69115734ce014d354e2f259d4cbfb890244fd451a497fe6ecf9aa90d19a2d441162f7eaa7ce3fc4e8"
    "9fd4e76b7ae585be2a2c0fd6fb246b8ac8d58bcb585634e30c9168a434786fe5e0b74bfe8187b47ac091aa571ffea0a8"
    "64cb906d0e28c77a00e8cd8f6aba4317a8cc7bf32ce566bd1ef80c64de041728abe087bee6cadd0b7062bde5ceef308a"
    "23bd1ccc154fd0c3a26110df6193464fc0d24ee189aea8979d722170ba945fdcce9b1b4b63349980f3a92dc2e5418c54"
    "d38a862916926b3f9ca270a8cf40dfb9772bfbdd9a3e0e0892369c18249211ba857f35963d0e05d8da98f1aa0c6bba58"
    "f47487b8f663e395091275f82941830b050b260e4767ce2fa903e75ff8970c98bfb3a08d6db91ab1746c86420ee2e909"
    "bf681cac173697135983c3594b2def673736220452fde4ddec867d40ff42dd3da36c84e3e52508b891a00f50b4f62d11"
    "2edb3b6b6cc3dbd546ba10f36b03f06c0d82aeec3b25e127af545fac28e1613a0517a6095ad18a98ab79f68801e05c17"
    "5e15bae21f821e80c80ab4fdec6fb34ca315e194502b8f3dcf7892b511aee45060e3994cd15e003861bc7220a2babd7b"
    "40eda03382548a34a7110f9b1779bf3ef6011361611e6bc5c0dc851e1509de1a"
)
SIGNATURE = bytes.fromhex(
    "6fef8bf9bc182cd8cf7ce45c7dcf0e6f3e518ae48f06f3c670c649ac737a8b8119a34d51641785be151a697ed7825fdf"
    "ece82865123445eab03eb4bb91cecf4d6951738495f8481151b62de869658573df4e50a95c17c31b52e154ae26a04067"
    "d5ecdc1592c287550bb982a5bb9c30fd53a768cee6baabb3d483e9f1e2da954c7f4cf492fe3944d2fe456c1ecaf08403"
    "69e33fb4010e6b44bb1d721840513524d8e9a3519f40d1b81ae34fb7a31ee6b7ed641cb16c2ac999004c2191de020145"
    "7523f5a4700dd649267d9286f5c1d193f1454c9f868a57816bf5ff76c838a2eeb616a3fc9976f65d4371deecfbab2936"
    "2caebdff69c635fe5a2113da4d4d8c24f0b16a0584fa05e80e607c5d9a2f765f1f069f8d4da21f27c2a3b5c984b4ab24"
    "899bef46c6d9323df4862fe51ce300fca40fb539c3bb7fe2dcc9409e425f2d3b95e70e9c49c5feb6ecc9d43442c33d50"
    "003ee936845892fb8be475647da9a080f5bc7f8a716590b3745c2209fe05b17992830ce15f32c7b22cde755c8a2fe50b"
    "d814a0434130b807dc1b7218d4e85342d70695a5d7f29306f25623ad1e8aa08ef71b54b8ee447b5f64e73d09bdd6c3b7"
    "ca224058d7c67cc7551e9241688ada12d859cb7646fbd3ed8b34312f3b49d69802f0eaa11bc4211c2f7a29cd5c01ed01"
    "a39001c5856fab36228f5ee2f2e1110811872fe7c865c42ed59029c706195d52"
)


def test_blind_signatures_give_the_published_answers() -> None:
    e, n = 65537, P * Q
    d = pow(e, -1, (P - 1) * (Q - 1))
    public = rsa.RSAPublicNumbers(e, n)
    private = rsa.RSAPrivateNumbers(
        P, Q, d, d % (P - 1), d % (Q - 1), pow(Q, -1, P), public
    ).private_key()
    key = private.public_key()
    factor = pow(INVERSE, -1, n)
    blinded, inverse = blind(key, MESSAGE, SALT, lambda _: factor)
    assert inverse == INVERSE
    assert int.from_bytes(blinded, "big") == pow(int.from_bytes(BLIND_SIGNATURE, "big"), e, n)
    assert blind_sign(private, blinded) == BLIND_SIGNATURE
    assert finalize(key, MESSAGE, BLIND_SIGNATURE, inverse) == SIGNATURE
    assert is_valid(key, MESSAGE, SIGNATURE)
    assert not is_valid(key, MESSAGE + b"x", SIGNATURE)


@pytest.fixture(scope="module")
def registrar() -> Registrar:
    return Registrar.generate()


TASK = bytes(range(32))


def test_a_token_is_for_one_task_and_one_report(registrar: Registrar) -> None:
    request = TokenRequest.make(registrar.public_key, TASK)
    token = request.finish(registrar.sign(request.blinded))
    assert len(token) == token_bytes(registrar.public_key) == 256
    check_token(registrar.public_key, TASK, request.report_id, token)
    other = Registrar.generate()
    for key, task, report in (
        (registrar.public_key, bytes(32), request.report_id),
        (registrar.public_key, TASK, bytes(16)),
        (other.public_key, TASK, request.report_id),
    ):
        with pytest.raises(ProtocolError, match="not signed by the registrar"):
            check_token(key, task, report, token)


def test_every_token_fits_every_request(registrar: Registrar) -> None:
    """Unlinkability, recounted: for each request and token a blinding factor explains the pair."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    numbers = load_der_public_key(registrar.public_key).public_numbers()
    requests = [TokenRequest.make(registrar.public_key, TASK) for _ in range(3)]
    answers = [registrar.sign(request.blinded) for request in requests]
    tokens = [r.finish(answer) for r, answer in zip(requests, answers, strict=True)]
    for request, answer in zip(requests, answers, strict=True):
        for token in tokens:
            factor = int.from_bytes(answer, "big") * pow(
                int.from_bytes(token, "big"), -1, numbers.n
            )
            point = pow(int.from_bytes(token, "big"), numbers.e, numbers.n)
            seen = point * pow(factor, numbers.e, numbers.n) % numbers.n
            assert seen == int.from_bytes(request.blinded, "big")


def test_a_signer_that_signs_something_else_is_noticed(registrar: Registrar) -> None:
    request = TokenRequest.make(registrar.public_key, TASK)
    other = TokenRequest.make(registrar.public_key, TASK)
    for answer in (registrar.sign(other.blinded), b"short", bytes(256)):
        with pytest.raises(ProtocolError, match="no signature of what was asked"):
            request.finish(answer)
    for blinded in (b"", bytes(256), b"\xff" * 256, request.blinded + b"\0"):
        with pytest.raises(ProtocolError, match="below the registrar's modulus"):
            registrar.sign(blinded)


def test_a_person_gets_one_token(registrar: Registrar, tmp_path) -> None:
    desk = TokenDesk(registrar, tmp_path / "desk.sqlite")
    first = TokenRequest.make(registrar.public_key, TASK)
    answer = desk.issue("CANARY-1", first.blinded)
    first.finish(answer)
    again = TokenDesk(Registrar(registrar.secret_bytes()), tmp_path / "desk.sqlite")
    assert again.issue("CANARY-1", first.blinded) == answer
    second = TokenRequest.make(registrar.public_key, TASK)
    with pytest.raises(ProtocolError, match="given one already") as caught:
        again.issue("CANARY-1", second.blinded)
    assert "CANARY" not in str(caught.value)
    second.finish(again.issue("CANARY-2", second.blinded))
    assert b"CANARY" not in (tmp_path / "desk.sqlite").read_bytes()
    assert (tmp_path / "desk.sqlite").stat().st_mode & 0o777 == 0o600
    with pytest.raises(EngineError, match="SQLITE_"):
        TokenDesk(registrar, tmp_path / "absent" / "desk.sqlite")


@pytest.mark.parametrize("kem", KEMS)
def test_an_envelope_opens_for_its_receiver_and_header_only(kem) -> None:
    key = EnvelopeKey.generate(kem)
    sealed = seal(kem, key.public_key, b"secret", b"header")
    assert len(sealed) == enc_bytes(kem) + len(b"secret") + 16
    assert key.open(sealed, b"header") == b"secret"
    assert EnvelopeKey(kem, key.secret_bytes()) == key
    changed = [bytearray(sealed) for _ in range(3)]
    changed[0][0] ^= 1
    changed[1][enc_bytes(kem)] ^= 1
    changed[2][-1] ^= 1
    attempts = [(key, bytes(each), b"header") for each in changed]
    attempts += [
        (key, sealed, b"other"),
        (key, sealed[:-1], b"header"),
        (key, b"", b"header"),
        (key, bytes(len(sealed)), b"header"),
        (EnvelopeKey.generate(kem), sealed, b"header"),
    ]
    for opener, message, info in attempts:
        with pytest.raises(ProtocolError, match="does not open"):
            opener.open(message, info)


@given(message=st.binary(max_size=300), info=st.binary(max_size=2000))
@settings(max_examples=25)
def test_any_message_and_header(message: bytes, info: bytes) -> None:
    key = EnvelopeKey.generate()
    assert key.open(seal("x25519", key.public_key, message, info), info) == message


def test_a_signature_counts_in_its_context_only() -> None:
    # RFC 8032, section 7.1, test 1: the key pair
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = SigningKey(secret)
    assert key.verifying_key.hex() == (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    signature = key.sign("receipt", b"message")
    check_signature(key.verifying_key, "receipt", b"message", signature)
    for context, message, changed in (
        ("freeze", b"message", signature),
        ("receipt", b"other", signature),
        ("receipt", b"message", bytes(64)),
        ("receipt", b"message", b""),
    ):
        with pytest.raises(ProtocolError, match="changed, or signed by another"):
            check_signature(key.verifying_key, context, message, changed)


def test_secrets_never_print(registrar: Registrar) -> None:
    for key in (EnvelopeKey.generate(), EnvelopeKey.generate(KEMS[1]), SigningKey.generate()):
        shown = repr(key) + str(key) + f"{key}"
        assert key.secret_bytes().hex() not in shown
        assert repr(key.secret_bytes())[2:-1] not in shown
    request = TokenRequest.make(registrar.public_key, TASK)
    assert str(request.inverse) not in repr(request)
    assert repr(request.report_id) not in repr(request)
    assert "RSA" not in repr(registrar)


@pytest.mark.parametrize(
    "make",
    [
        lambda: EnvelopeKey("x25519", bytes(31)),
        lambda: EnvelopeKey("mlkem768-x25519", bytes(32)),
        lambda: SigningKey(bytes(33)),
        lambda: seal("x25519", bytes(31), b"", b""),
        lambda: seal("mlkem768-x25519", b"\xff" * 1216, b"", b""),
        lambda: Registrar(b"not a key"),
        lambda: token_bytes(b"not a key"),
        lambda: check_signature(bytes(3), "receipt", b"", bytes(64)),
    ],
)
def test_malformed_keys_are_refused(make) -> None:
    with pytest.raises(ProtocolError):
        make()


def test_without_the_extra_the_message_says_what_to_install(monkeypatch) -> None:
    room = "sfumato.donation.protecting"
    for name in [name for name in sys.modules if name.startswith(room)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.hpke", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sfumato\[donate\]'"):
        importlib.import_module(room)


def test_random_numbers_come_from_outside(registrar: Registrar) -> None:
    drawn = []

    def random_bytes(count: int) -> bytes:
        drawn.append(count)
        return os.urandom(count)

    TokenRequest.make(registrar.public_key, TASK, random_bytes)
    assert drawn == [16, 48, 256 + 16]
