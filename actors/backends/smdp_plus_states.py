"""Words that vendors have for the state of a profile, in a status query or an inventory file."""

from typing import Final

from actors.backends.smdp_plus import ProfileState

# SGP.22 §3.1.6, and what public projects show of vendors.
_WORDS: Final = {state.value.lower(): state for state in ProfileState} | {
    "download": ProfileState.DOWNLOADED,
    "install": ProfileState.INSTALLED,
    "enable": ProfileState.ENABLED,
    "disable": ProfileState.DISABLED,
    "delete": ProfileState.DELETED,
    "reserved": ProfileState.ALLOCATED,
}


def profile_state(word: str) -> ProfileState:
    """The state; UNKNOWN for a word that no vendor is known to use."""
    return _WORDS.get(word.strip().lower(), ProfileState.UNKNOWN)
