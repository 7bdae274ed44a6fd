"""Where an application sends the user for a web sheet (GSMA TS.43 v12 §3.1.2, §9.5).

The user data identifies one subscriber at one time, and most of what is decided is the same for
many: a slot stands for it, and `actors/session/user_data.py` makes what goes there.
"""

from typing import Final

from protocols.ts43.document import SLOT, Parm, plain_url

# ServiceFlow_ContentsType (table 83): how the client hands the user data to the web sheet.
AS_QUERY: Final = ""  # the parameter is left out
AS_JSON: Final = "json"
AS_XML: Final = "xml"


def web_sheet_parms(url: str, contents_type: str = AS_QUERY) -> tuple[Parm, ...]:
    """ServiceFlow_URL, ServiceFlow_UserData and, unless it is a query, ServiceFlow_ContentsType.

    Args:
        url: of the tenant's web sheet. Without one there are none of them, although they are
            mandatory for VoWiFi: an empty value crashes clients.
        contents_type: one of the three above.
    """
    if not url:
        return ()
    parms = (("ServiceFlow_URL", plain_url(url)), ("ServiceFlow_UserData", SLOT))
    if contents_type == AS_QUERY:
        return parms
    return (*parms, ("ServiceFlow_ContentsType", contents_type))
