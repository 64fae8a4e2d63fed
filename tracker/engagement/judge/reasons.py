"""Every reason a verdict can give, as an English sentence to translate. Codes are stored and never change meaning."""

from collections.abc import Callable

from tracker.runtime.localized_text import N_

Translate = Callable[[str], str]


def as_written(text: str) -> str:
    return text


SENTENCES: dict[str, str] = {
    "user_said_person": N_("You said that this was a person"),
    "user_said_machine": N_("You said that this was not a person"),
    # letters that came in
    "answered_by_other": N_("It was answered by %(name)s, to whom it was not sent"),
    "server_said": N_("The server said: %(said)s"),
    "delivery_delayed": N_("It is still being tried: %(said)s"),
    "struck": N_("Struck, because it was not this person: %(note)s"),
    # the sender
    "app_session": N_("The browser is signed in here as the sender"),
    "own_infrastructure": N_("The request came from our own servers or an excluded network"),
    "recipient_is_sender": N_("The message was sent to the sender's own address"),
    "before_sending": N_("The request came before the message was handed over: the draft was on the screen"),
    "heads_up": N_("The sender was viewing this message %(seconds)s s before or after"),
    "sender_address": N_("The address is the one the sender is signed in from"),
    "maybe_you": N_("Gmail loaded the image, but only the sender's mailbox is at Google: maybe you"),
    # what the request itself says
    "honeypot": N_("A link that no person can see was requested"),
    "method": N_("The request was a %(method)s; people's programs send GET"),
    "office_discovery": N_("Microsoft Office checked the link before opening it"),
    "prefetch_header": N_("The browser loaded this ahead of time, without anybody asking for it"),
    "no_agent_link": N_("The link was requested by a program that does not name itself"),
    "no_agent_pixel": N_("The image was requested by a program that does not name itself"),
    "pixel_as_page": N_("The image was opened like a page, which mail programs do not do"),
    "tor": N_("The request came through the Tor network"),
    "nothing_fits": N_("Nothing known fits this request"),
    # known fetchers
    "mail_proxy": N_("%(name)s loaded the image because the message was opened"),
    "proxy_early": N_("It came %(seconds)s s after sending, too early to tell from an automatic check"),
    "proxy_unconfirmed": N_("Nothing is known about the network, so the name was believed"),
    "proxy_link": N_("%(name)s loads images for people; it does not follow links for them"),
    "forged_proxy": N_("It calls itself Gmail's image proxy but does not come from Google"),
    "gmail_prefetch": N_("Gmail loaded the image on its own, without the message being opened"),
    "apple_privacy": N_("Apple Mail loads every image by itself, so this says nothing about reading"),
    "apple_relay": N_("The address belongs to Apple's relay"),
    "bare_agent_link": N_("The link was requested by a program that names itself only Mozilla/5.0"),
    "preview": N_("The link was shown as a preview in %(name)s"),
    "scanner_agent": N_("The program names itself: %(name)s"),
    "tool": N_("A script or an automated browser (%(name)s) made the request within an hour of sending"),
    "tool_late": N_("A script or an automated browser made the request: %(name)s"),
    "crawler": N_("The program is a known robot: %(name)s"),
    "headless": N_("The browser's own header fields say that nobody is in front of it"),
    # networks
    "scanner_network": N_("The address belongs to the mail protection of %(name)s"),
    "crawler_network": N_("The address belongs to Google's crawlers"),
    "learned_address": N_("This address has checked several other messages"),
    "gateway_early": N_("The mail gateway of %(name)s requested it %(seconds)s s after sending"),
    "gateway_browser": N_("It came through the mail gateway of %(name)s, but late and from a complete browser"),
    "gateway_incomplete": N_("It came through the mail gateway of %(name)s and not from a complete browser"),
    "client_check": N_("Outlook checked the link on the person's machine just before opening it"),
    "provider_link": N_("The link was requested from %(name)s's network, where nobody had opened the message"),
    "microsoft_early": N_("Microsoft's network loaded the image within %(seconds)s s of sending"),
    "microsoft_proxy": N_("Outlook on the web loaded the image because the message was opened"),
    "microsoft_between": N_("Microsoft's network loaded the image, too late for delivery and too early for a reader"),
    # people
    "mail_client": N_("The image was loaded by %(name)s"),
    "mail_client_early": N_("%(name)s loaded the image only %(seconds)s s after sending"),
    "looks_like_browser": N_("The request looks like a person's browser"),
    "hosting_alone": N_(
        "The network is a hoster's, but everything else is a person's browser, as with a company's proxy"
    ),
    # the browser score
    "no_language": N_("The request names no language"),
    "no_sec_fetch": N_("Header fields that this browser always sends are missing"),
    "stale_browser": N_("The browser is %(majors)s versions old"),
    "internet_explorer": N_("It calls itself Internet Explorer"),
    "hosting": N_("The address belongs to a hoster"),
    "very_early": N_("It came %(seconds)s s after sending"),
    "early": N_("It came %(seconds)s s after sending, early for a person"),
    "gateway_recipient": N_("The recipient's mail passes a security gateway, and the message was %(seconds)s s old"),
    "earlier_open": N_("Somebody had opened the message from this address before"),
    "referer": N_("It came from a page"),
    "user_activation": N_("The browser says that somebody clicked"),
    # the sequence
    "near_honeypot": N_("A link that no person can see was requested %(seconds)s s before or after"),
    "honeypot_neighbour": N_("This network requested a link that no person can see"),
    "burst": N_("%(links)s links were requested in %(seconds)s s"),
    "agent_rotation": N_("The same address called itself two different programs within %(seconds)s s"),
    "cloud_visit": N_("Image and only link were requested from one cloud address within %(seconds)s s of sending"),
    "open_and_click": N_("One program requested image and link within %(seconds)s s, and nobody had opened before"),
    "same_address": N_("The same address was found to be a security check on this message"),
    "machine_of_pair": N_("The same link was requested from two networks within %(seconds)s s; this is the machine's"),
    "many_recipients": N_("This address requested mail of %(recipients)s recipients within %(seconds)s s"),
}
