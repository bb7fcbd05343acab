import base64
import multiprocessing
import stat

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.encryption import FILE, SETTING, Cipher
from shared.errors import Permanent
from shared.settings import Settings

OLD, NEW = "old-" * 10, "new-" * 10


@pytest.fixture
def settings(tmp_path):
    """No database: nothing is asked of one."""
    return Settings.model_construct(**Settings.model_construct().model_dump()).with_changes(data_dir=tmp_path)


@given(st.text())
def test_what_was_sealed_opens_and_does_not_show(text):
    sealed = Cipher.with_keys(NEW).encrypt(text)
    assert Cipher.with_keys(NEW).decrypt(sealed) == text
    assert len(text) < 3 or text.encode() not in base64.urlsafe_b64decode(sealed)


def test_every_key_opens_and_the_newest_seals():
    sealed = Cipher.with_keys(OLD).encrypt("whsec_x")
    both = Cipher.with_keys(NEW, OLD)
    assert both.decrypt(sealed) == "whsec_x"
    rotated = both.rotate(sealed)
    assert Cipher.with_keys(NEW).decrypt(rotated) == both.decrypt(rotated) == "whsec_x"
    with pytest.raises(Permanent, match=SETTING):
        Cipher.with_keys(NEW).decrypt(sealed)
    with pytest.raises(Permanent, match=SETTING):
        Cipher.with_keys(OLD).decrypt(both.encrypt("whsec_y"))


@pytest.mark.parametrize(
    "sealed", [b"", b"whsec_x", b"\xff\x00", Fernet(Fernet.generate_key()).encrypt(b"x")]
)
def test_what_was_not_sealed_here_is_refused_by_name(sealed):
    with pytest.raises(Permanent, match=SETTING):
        Cipher.with_keys(NEW).decrypt(sealed)
    with pytest.raises(Permanent, match=SETTING):
        Cipher.with_keys(NEW).rotate(sealed)


def test_one_that_was_tampered_with_does_not_open():
    sealed = bytearray(Cipher.with_keys(NEW).encrypt("https://example.org/hook"))
    sealed[40] ^= 1
    with pytest.raises(Permanent):
        Cipher.with_keys(NEW).decrypt(bytes(sealed))


def test_the_setting_holds_keys_newest_first(settings):
    chosen = settings.with_changes(secret_keys=SecretStr(f"{NEW}, {OLD}"))
    assert Cipher.of(chosen).decrypt(Cipher.with_keys(OLD).encrypt("x")) == "x"
    assert Cipher.with_keys(NEW).decrypt(Cipher.of(chosen).encrypt("x")) == "x"
    assert not (chosen.data_dir / FILE).exists()


def test_without_a_setting_a_key_is_made_that_only_its_owner_reads(settings):
    sealed = Cipher.of(settings).encrypt("x")
    assert Cipher.of(settings).decrypt(sealed) == "x"
    assert stat.S_IMODE((settings.data_dir / FILE).stat().st_mode) == 0o600
    assert [path.name for path in settings.data_dir.iterdir()] == [FILE]


def seal(settings, start, results):
    start.wait()
    results.put(Cipher.of(settings).encrypt("x"))


def test_processes_that_make_the_key_at_once_agree(settings):
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    processes = [context.Process(target=seal, args=(settings, start, results)) for _ in range(8)]
    for each in processes:
        each.start()
    start.set()
    sealed = [results.get(timeout=30) for _ in processes]
    for each in processes:
        each.join()
    assert {Cipher.of(settings).decrypt(each) for each in sealed} == {"x"}
    assert [path.name for path in settings.data_dir.iterdir()] == [FILE]


def test_a_key_that_cannot_be_made_is_said(settings, tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(Permanent, match=SETTING):
        Cipher.of(settings)


def test_an_empty_key_file_is_no_key(settings, tmp_path):
    (tmp_path / FILE).write_text("\n")
    with pytest.raises(Permanent, match=FILE):
        Cipher.of(settings)


def test_a_cipher_does_not_show_its_keys(settings):
    chosen = settings.with_changes(secret_keys=SecretStr(NEW))
    assert "new-" not in repr(Cipher.of(chosen)) + repr(chosen)
