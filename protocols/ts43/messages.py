"""Texts that a phone shows, by message id and language (GSMA TS.43 v12 §2.2.2, §3.1.6).

Tenants replace or add texts in `[tenants.messages]`: message id -> language -> text.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from protocols.ts43.languages import choose_language

VOLTE_NOT_OFFERED: Final = "volte-not-offered"
VOLTE_ROAMING_NOT_OFFERED: Final = "volte-roaming-not-offered"
VONR_NOT_OFFERED: Final = "vonr-not-offered"
VONR_ROAMING_NOT_OFFERED: Final = "vonr-roaming-not-offered"
VOWIFI_NOT_OFFERED: Final = "vowifi-not-offered"
BOOST_NOT_OFFERED: Final = "boost-not-offered"
APPLICATION_NOT_OFFERED: Final = "application-not-offered"
LINE_SUSPENDED: Final = "line-suspended"
LINE_ENDED: Final = "line-ended"
ODSA_NOT_POSSIBLE: Final = "odsa-not-possible"
ODSA_BAD_REQUEST: Final = "odsa-bad-request"
ODSA_TOO_MANY: Final = "odsa-too-many-devices"
ODSA_BUSY: Final = "odsa-busy"
ODSA_INPUT_TITLE: Final = "odsa-input-title"
ODSA_INPUT: Final = "odsa-input"
ODSA_INPUT_HINT: Final = "odsa-input-hint"
ODSA_INPUT_FAILED: Final = "odsa-input-failed"

FALLBACK_LANGUAGE: Final = "en"

DEFAULT_MESSAGES: Final[Mapping[str, Mapping[str, str]]] = {
    VOLTE_NOT_OFFERED: {
        "en": "Voice over LTE is not available with your plan.",
        "fr": "La voix sur LTE n'est pas disponible avec votre forfait.",
        "de": "Telefonieren über LTE ist in Ihrem Tarif nicht verfügbar.",
        "es": "La voz sobre LTE no está disponible con su tarifa.",
    },
    VOLTE_ROAMING_NOT_OFFERED: {
        "en": "Voice over LTE is not available abroad with your plan.",
        "fr": "La voix sur LTE n'est pas disponible à l'étranger avec votre forfait.",
        "de": "Telefonieren über LTE ist in Ihrem Tarif im Ausland nicht verfügbar.",
        "es": "La voz sobre LTE no está disponible en el extranjero con su tarifa.",
    },
    VONR_NOT_OFFERED: {
        "en": "Voice over 5G is not available with your plan.",
        "fr": "La voix sur 5G n'est pas disponible avec votre forfait.",
        "de": "Telefonieren über 5G ist in Ihrem Tarif nicht verfügbar.",
        "es": "La voz sobre 5G no está disponible con su tarifa.",
    },
    VONR_ROAMING_NOT_OFFERED: {
        "en": "Voice over 5G is not available abroad with your plan.",
        "fr": "La voix sur 5G n'est pas disponible à l'étranger avec votre forfait.",
        "de": "Telefonieren über 5G ist in Ihrem Tarif im Ausland nicht verfügbar.",
        "es": "La voz sobre 5G no está disponible en el extranjero con su tarifa.",
    },
    VOWIFI_NOT_OFFERED: {
        "en": "Wi-Fi calling is not available with your plan.",
        "fr": "Les appels Wi-Fi ne sont pas disponibles avec votre forfait.",
        "de": "WLAN-Telefonie ist in Ihrem Tarif nicht verfügbar.",
        "es": "Las llamadas por Wi-Fi no están disponibles con su tarifa.",
    },
    BOOST_NOT_OFFERED: {
        "en": "This data boost is not available with your plan.",
        "fr": "Cette option de débit n'est pas disponible avec votre forfait.",
        "de": "Dieser Daten-Boost ist in Ihrem Tarif nicht verfügbar.",
        "es": "Esta mejora de datos no está disponible con su tarifa.",
    },
    APPLICATION_NOT_OFFERED: {
        "en": "This service is not available from your operator.",
        "fr": "Ce service n'est pas proposé par votre opérateur.",
        "de": "Dieser Dienst wird von Ihrem Anbieter nicht angeboten.",
        "es": "Su operador no ofrece este servicio.",
    },
    LINE_SUSPENDED: {
        "en": "Your line is suspended. Please contact your operator.",
        "fr": "Votre ligne est suspendue. Veuillez contacter votre opérateur.",
        "de": "Ihr Anschluss ist gesperrt. Bitte wenden Sie sich an Ihren Anbieter.",
        "es": "Su línea está suspendida. Póngase en contacto con su operador.",
    },
    LINE_ENDED: {
        "en": "This line is no longer in service. Please contact your operator.",
        "fr": "Cette ligne n'est plus en service. Veuillez contacter votre opérateur.",
        "de": "Dieser Anschluss besteht nicht mehr. Bitte wenden Sie sich an Ihren Anbieter.",
        "es": "Esta línea ya no está en servicio. Póngase en contacto con su operador.",
    },
    ODSA_NOT_POSSIBLE: {
        "en": "This is not possible now. Please contact your operator.",
        "fr": "Cette opération n'est pas possible. Veuillez contacter votre opérateur.",
        "de": "Das ist zurzeit nicht möglich. Bitte wenden Sie sich an Ihren Anbieter.",
        "es": "Esta operación no es posible. Póngase en contacto con su operador.",
    },
    ODSA_BAD_REQUEST: {
        "en": "Your device asked for something that cannot be done.",
        "fr": "Votre appareil a envoyé une demande qui ne peut pas être traitée.",
        "de": "Ihr Gerät hat etwas angefragt, das nicht ausgeführt werden kann.",
        "es": "Su dispositivo ha enviado una solicitud que no se puede atender.",
    },
    ODSA_TOO_MANY: {
        "en": "You already have as many devices as your operator allows.",
        "fr": "Vous avez déjà atteint le nombre maximal d'appareils autorisé.",
        "de": "Sie haben bereits so viele Geräte, wie Ihr Anbieter zulässt.",
        "es": "Ya ha alcanzado el número máximo de dispositivos permitido.",
    },
    ODSA_BUSY: {
        "en": "Another change of this line is not finished yet. Please try again later.",
        "fr": "Une autre modification de cette ligne est en cours. Réessayez plus tard.",
        "de": "Eine andere Änderung dieses Anschlusses läuft noch. Bitte später erneut versuchen.",
        "es": "Otro cambio de esta línea aún no ha terminado. Inténtelo más tarde.",
    },
    ODSA_INPUT_TITLE: {
        "en": "Please confirm",
        "fr": "Veuillez confirmer",
        "de": "Bitte bestätigen",
        "es": "Confirme, por favor",
    },
    ODSA_INPUT: {
        "en": "Do you want to continue?",
        "fr": "Voulez-vous continuer ?",
        "de": "Möchten Sie fortfahren?",
        "es": "¿Desea continuar?",
    },
    ODSA_INPUT_HINT: {
        "en": "Your answer",
        "fr": "Votre réponse",
        "de": "Ihre Antwort",
        "es": "Su respuesta",
    },
    ODSA_INPUT_FAILED: {
        "en": "This is not the expected form.",
        "fr": "Ce n'est pas la forme attendue.",
        "de": "Das hat nicht die erwartete Form.",
        "es": "No tiene la forma esperada.",
    },
}

_DEFAULT_LANGUAGES: Final = frozenset(
    language for texts in DEFAULT_MESSAGES.values() for language in texts
)


def language_of(
    accept_language: str, default: str, overrides: Mapping[str, Mapping[str, str]]
) -> str:
    """The language in which to speak to a client.

    Args:
        accept_language: the field as sent; empty when there is none.
        default: the tenant's language.
        overrides: the tenant's own texts.
    """
    if not overrides:
        return choose_language(accept_language, _DEFAULT_LANGUAGES, default)
    own = frozenset(language for texts in overrides.values() for language in texts)
    return choose_language(accept_language, _DEFAULT_LANGUAGES | own, default)


def message(
    message_id: str, language: str, default: str, overrides: Mapping[str, Mapping[str, str]]
) -> str:
    """The text of a message: the tenant's or ours, in the language, its base, or the default.

    Args:
        message_id: one of the constants above.
        language: as `language_of` gave it.
        default: the tenant's language, when there is no text in `language`.
        overrides: the tenant's own texts.
    """
    own = overrides.get(message_id) if overrides else None
    if not own:
        return _our_message(message_id, language, default)
    ours = DEFAULT_MESSAGES[message_id]
    # Language before authorship: a French phone gets our French rather than the tenant's German.
    texts = (own.get(wanted) or ours.get(wanted) for wanted in _wanted(language, default))
    return next(text for text in texts if text)


@lru_cache(maxsize=1024)
def _our_message(message_id: str, language: str, default: str) -> str:
    ours = DEFAULT_MESSAGES[message_id]
    return next(ours[wanted] for wanted in _wanted(language, default) if wanted in ours)


def _wanted(language: str, default: str) -> tuple[str, ...]:
    return (language, language.partition("-")[0], default, FALLBACK_LANGUAGE)
