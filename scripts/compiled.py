"""The modules of the hot path compiled with mypyc: how they are built, and how they are used.

`build/compiled` is a copy of the packages in which these modules stand as extension modules beside
their source. It is used by whoever starts a process with `environment`, and only while it was made
from the very sources that are here, by this version of Python.

    python -m scripts.compiled
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
BUILT: Final = ROOT / "build" / "compiled"
PACKAGES: Final = ("actors", "config", "node", "protocols")
STAMP: Final = "made-from"

# What runs for every request and is typed throughout. Not those with structs of msgspec, which
# makes its own classes, nor with descriptors (`ts43/request.py`), nor what subclasses `str` or is a
# program of its own (`python -m`).
COMPILED: Final = (
    "actors/counters.py",
    "actors/diameter/connection.py",
    "actors/diameter/exchange.py",
    "actors/diameter/link.py",
    "actors/diameter/peer.py",
    "actors/diameter/peer_statistics.py",
    "actors/diameter/pending.py",
    "actors/diameter/router.py",
    "actors/diameter/routes.py",
    "actors/diameter/transport.py",
    "actors/entitlement/composition.py",
    "actors/entitlement/remembered.py",
    "actors/runtime/pool.py",
    "actors/runtime/timers.py",
    "actors/runtime/turn.py",
    "actors/session/actor.py",
    "actors/session/authentication.py",
    "actors/session/eap_actions.py",
    "actors/session/interpreter.py",
    "actors/session/keeping.py",
    "actors/session/randomness.py",
    "actors/session/registry.py",
    "actors/session/responses.py",
    "actors/session/service_actions.py",
    "actors/session/session.py",
    "actors/session/sessions.py",
    "actors/session/spent_cookies.py",
    "actors/session/user_data.py",
    "actors/store/token_rows.py",
    "actors/store/tokens.py",
    "actors/tenant_groups.py",
    "actors/tenants.py",
    "node/device/connection.py",
    "node/device/exchange.py",
    "node/device/transport.py",
    "node/device/ts43_surface.py",
    "protocols/diameter/codec.py",
    "protocols/diameter/der_template.py",
    "protocols/diameter/dictionary.py",
    "protocols/diameter/encoding.py",
    "protocols/diameter/errors.py",
    "protocols/diameter/identifiers.py",
    "protocols/diameter/messages.py",
    "protocols/diameter/numbers.py",
    "protocols/diameter/values.py",
    "protocols/eap/numbers.py",
    "protocols/eap/packet.py",
    "protocols/eap/relay.py",
    "protocols/http/events.py",
    "protocols/http/limits.py",
    "protocols/http/message.py",
    "protocols/http2/connection.py",
    "protocols/http2/control.py",
    "protocols/http2/errors.py",
    "protocols/http2/frames.py",
    "protocols/http2/hpack_decoder.py",
    "protocols/http2/hpack_encoder.py",
    "protocols/http2/huffman.py",
    "protocols/http2/huffman_deflate.py",
    "protocols/http2/inbound.py",
    "protocols/http2/output.py",
    "protocols/http2/requests.py",
    "protocols/http2/static_table.py",
    "protocols/http2/stream.py",
    "protocols/http2/stream_states.py",
    "protocols/http2/token_bucket.py",
    "protocols/ts43/applications.py",
    "protocols/ts43/challenge.py",
    "protocols/ts43/cookies.py",
    "protocols/ts43/document.py",
    "protocols/ts43/eap_relay.py",
    "protocols/ts43/json_document.py",
    "protocols/ts43/languages.py",
    "protocols/ts43/messages.py",
    "protocols/ts43/negotiation.py",
    "protocols/ts43/operations.py",
    "protocols/ts43/parameters.py",
    "protocols/ts43/request_error.py",
    "protocols/ts43/responses.py",
    "protocols/ts43/result_codes.py",
    "protocols/ts43/values.py",
    "protocols/ts43/xml_document.py",
)

_BUILD: Final = """
import sys
from mypyc.build import mypycify
from setuptools import setup
modules = mypycify(["--strict", *sys.argv[1:]], opt_level="2", debug_level="0", multi_file=True)
setup(name="compiled", ext_modules=modules, script_args=["-q", "build_ext", "--inplace"])
"""


def environment(built: Path = BUILT) -> dict[str, str]:
    """What a process needs in its environment to use the compiled modules; nothing without them."""
    try:
        made_from = (built / STAMP).read_text()
    except OSError:
        return {}
    if made_from != fingerprint():
        return {}
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    # Without "safe path" the working directory, where the sources are, would come first.
    return {"PYTHONPATH": os.pathsep.join((str(built), *others)), "PYTHONSAFEPATH": "1"}


def fingerprint() -> str:
    """Of all sources of the packages, and of the Python that runs this."""
    digest = hashlib.sha256(sysconfig.get_config_var("EXT_SUFFIX").encode())
    for path in sorted(_sources()):
        digest.update(f"\n{path.relative_to(ROOT)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def build(built: Path = BUILT) -> None:
    """Compile. Takes two minutes; what was built before stays until the new one is complete.

    Raises:
        subprocess.CalledProcessError: mypyc or the C compiler failed, and said why.
    """
    made_from = fingerprint()
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent, prefix="compiling-") as name:
        folder = Path(name)
        for source in _sources():
            target = folder / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        subprocess.run([sys.executable, "-c", _BUILD, *COMPILED], cwd=folder, check=True)
        shutil.rmtree(folder / "build", ignore_errors=True)  # C and object files
        (folder / STAMP).write_text(made_from)
        shutil.rmtree(built, ignore_errors=True)
        shutil.copytree(folder, built)


if __name__ == "__main__":
    build()
    print(f"{len(COMPILED)} modules are compiled in {BUILT}")
