"""Known networks by name: ASN, owner, reverse DNS, and the many spellings of a range tag."""

import re

# Numbers of the mail gateways as published by the warmbly catalogue (2026-09); the others are public registry facts.
ASNS: dict[int, str] = {
    15169: "google",
    **dict.fromkeys(range(8068, 8076), "microsoft"),
    12076: "microsoft",
    22843: "proofpoint",
    26211: "proofpoint",
    52129: "proofpoint",
    30031: "mimecast",
    39588: "mimecast",
    42427: "mimecast",
    60492: "mimecast",
    16417: "cisco",
    13238: "yandex",
    47764: "mailru",
    # hosters of the cloud tables
    16509: "hosting",  # Amazon
    14618: "hosting",  # Amazon
    31898: "hosting",  # Oracle
    16276: "hosting",  # OVH
    396982: "hosting",  # Google Cloud
    45102: "hosting",  # Alibaba
    37963: "hosting",  # Alibaba
    63949: "hosting",  # Linode
    14061: "hosting",  # DigitalOcean
    24940: "hosting",  # Hetzner
    213230: "hosting",  # Hetzner
    # further hosters, whose networks carry hardly anybody's VPN
    8987: "hosting",  # Amazon
    20473: "hosting",  # Vultr
    12876: "hosting",  # Scaleway
    51167: "hosting",  # Contabo
    60781: "hosting",  # Leaseweb
    28753: "hosting",  # Leaseweb
    132203: "hosting",  # Tencent
    45090: "hosting",  # Tencent
    36351: "hosting",  # IBM
    200350: "hosting",  # Yandex Cloud
    49505: "hosting",  # Selectel
}
# Apple's relay leaves from here, and so do people behind these companies' VPNs: an owner, but no evidence.
PEOPLE_TOO = {36183, 13335, 54113}

_ORGS = [
    (re.compile(pattern, re.IGNORECASE), tag)
    for pattern, tag in (
        (r"\bgoogle[ -]cloud\b", "hosting"),
        (r"\bgoogle\b(?! fiber)", "google"),
        (r"\bmicrosoft\b|\bmsft\b", "microsoft"),
        (r"\bproofpoint\b", "proofpoint"),
        (r"\bmimecast\b", "mimecast"),
        (r"\biron ?port\b", "cisco"),
        (r"\bbarracuda\b", "barracuda_owner"),
        (r"\bfireeye\b|\btrellix\b", "trellix"),
        (r"\bmessagelabs\b", "symantec"),
        (r"\bhornetsecurity\b", "hornet"),
        (r"\byandex[ .]cloud\b", "hosting"),
        (r"\byandex\b", "yandex"),
        (r"\bmail\.?ru\b", "mailru"),
        (r"\bamazon\b|\bamazon-\d+|\bamazon-aes\b|\baws\b", "hosting"),
        (r"\boracle\b|\bovh(cloud)?\b|\balibaba\b|\baliyun\b|\blinode\b|akamai connected cloud", "hosting"),
        (r"\bdigital ?ocean\b|\bhetzner\b|\bcontabo\b|\bvultr\b|\bchoopa\b|\bconstant company\b", "hosting"),
        (r"\bleaseweb\b|\bscaleway\b|\bhosting\b|\bdata ?cent(er|re)\b|\bvps\b", "hosting"),
    )
]
_HOST_NAMES = [
    (re.compile(pattern, re.IGNORECASE), tag)
    for pattern, tag in (
        (r"^google-proxy-[\d-]+\.google\.com$", "gmail_proxy"),
        (r"^rate-limited-proxy-[\d-]+\.google\.com$", "google_special"),
        (r"(^|\.)googlebot\.com$", "google_common"),
        (r"(^|\.)barracuda(networks)?\.com$", "barracuda"),
        (r"(^|\.)(pphosted|ppe-hosted|proofpoint)\.com$", "proofpoint"),
        (r"(^|\.)mimecast(-offshore)?\.(com|net|org|co\.za)$", "mimecast"),
        (r"(^|\.)(iphmx|ironport)\.com$", "cisco"),
        (r"(^|\.)messagelabs\.(com|net)$", "symantec"),
        (r"(^|\.)(antispameurope|hornetsecurity)\.com$", "hornet"),
        (r"(^|\.)vadesecure\.com$", "vade"),
        (r"(^|\.)(etp\.fireeye|fireeyecloud|trellix)\.com$", "trellix"),
        (r"(^|\.)tmes\.trendmicro\.(com|eu)$", "trendmicro"),
        (r"(^|\.)cloud-sec-av\.com$", "checkpoint"),
        (r"(^|\.)spfbl\.net$", "spfbl"),
        (r"(^|\.)yahoo\.(com|net|co\.jp)$", "yahoo"),
        (r"\.protection\.outlook\.com$", "microsoft_eop"),
        (r"\.prod\.(outlook|exchangelabs)\.com$", "exchange_online"),
        (r"\.cloudapp\.(azure\.com|net)$", "microsoft"),
        (r"\.compute(-1)?\.amazonaws\.com$|\.googleusercontent\.com$", "hosting"),
        (r"\.your-server\.de$|\.linodeusercontent\.com$|\.ovh\.(net|ca|us)$", "hosting"),
        (r"\.(vultrusercontent\.com|contaboserver\.net|poneytelecom\.eu|kimsufi\.com)$", "hosting"),
    )
]
_SPELLINGS = [
    (re.compile(pattern), tag)
    for pattern, tag in (
        (r"icloud|(^|_)mpp(_|$)|(apple|private).*(relay|egress)|^relay(_(apple|egress))?$|^mask_api", "apple_relay"),
        (r"(^|_)tor(_|$)", "tor"),
        (
            r"(^|_)(eop|mdo|defender|safe_?links|detonation|microsoft_scanner)(_|$)|(mail|online|exchange)_protection"
            r"|(microsoft|outlook|office|ms|o365|m365|ms365).*protection|(o|m|ms|office_?)365.*set_?(9|10)$",
            "microsoft_eop",
        ),
        (r"(^|_)(exchange|exo|outlook|owa)(_|$)|(o|m|ms|office_?)365.*set_?1$", "exchange_online"),
        (
            r"google.*(special|rate_limited|safety|scan)|special.*google|^special_crawlers?$|^rate_limited",
            "google_special",
        ),
        (r"google.*(common|bot|crawler)|common.*google|^common_crawlers?$", "google_common"),
        (r"gmail|google.*(prox|user|fetch|image|triggered)|user.*google|user_triggered", "gmail_proxy"),
        (r"google.*cloud|(^|_)gcp(_|$)", "hosting"),
        (r"(^|_)google", "google"),
        (r"(^|_)(microsoft|azure|msft|office_?365|o365|m365)(_|$)", "microsoft"),
        (r"barracuda", "barracuda"),
        (r"spfbl", "spfbl"),
        (r"proofpoint", "proofpoint"),
        (r"mimecast", "mimecast"),
        (r"cisco|iron_?port", "cisco"),
        (r"telegram", "telegram"),
        (r"mail_?ru", "mailru"),
        (r"yahoo", "yahoo"),
        (r"yandex.*cloud", "hosting"),
        (r"yandex", "yandex"),
        (r"scanner|sandbox|security_vendor|(^|_)e?mail_(gateway|security|filter)", "learned_scanner"),
        (
            r"(^|_)(hosting|hoster|hosted|cloud|data_?cent(er|re)|dc|colo|server|vps|aws|amazon|ec2|ovh|hetzner)(_|$)",
            "hosting",
        ),
        (r"(^|_)(digital_?ocean|linode|oracle|alibaba)(_|$)", "hosting"),
        (r"^own($|_)|^self$|infrastructure|^(exclude|ignore)d?$", "own"),
    )
]


def from_tag(tag: str) -> str | None:
    """Our name for a range tag in whatever spelling; None for a tag that means nothing here (`residential`, …)."""
    plain = re.sub(r"[^a-z0-9]+", "_", tag.lower()).strip("_")
    return next((ours for pattern, ours in _SPELLINGS if pattern.search(plain)), None)


def from_reverse_dns(asn: int | None, org: str | None, rdns: str | None) -> set[str]:
    """What a (forward-confirmed) reverse name and the owner of the network say. The number beats the owner's name."""
    owners = {_first(_HOST_NAMES, (rdns or "").strip().rstrip("."))}
    if asn in ASNS:
        owners.add(ASNS[asn])
    elif asn not in PEOPLE_TOO:
        owners.add(_first(_ORGS, org or ""))
    return {tag for tag in owners if tag}


def _first(table: list[tuple[re.Pattern[str], str]], text: str) -> str | None:
    return next((tag for pattern, tag in table if pattern.search(text)), None)
