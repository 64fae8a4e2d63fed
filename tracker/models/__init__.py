"""The rows, by subject. Importing this package registers every table."""

import tracker.models.search_index
import tracker.runtime.lease
import tracker.runtime.processes
import tracker.runtime.throttle  # their tables
from tracker.models.activity import (
    DrainBacklog,
    DrainCursor,
    Event,
    FeedItem,
    HitEvidence,
    HostHealth,
    Notification,
    QuarantinedHit,
    ScannerNetwork,
    ScannerProof,
    Verdict,
)
from tracker.models.crm import (
    Customer,
    CustomerAddress,
    CustomerImport,
    CustomerImportPart,
    CustomerSource,
    EnquiryChange,
    EnquiryStatus,
    GroupMember,
    LetterBinding,
    ManagerGroup,
    Order,
    Shop,
)
from tracker.models.letters import (
    Category,
    EnquiryKey,
    Letter,
    LetterAttachment,
    LetterBody,
    LetterCopy,
    LetterRaw,
)
from tracker.models.mail import (
    Account,
    Attachment,
    Delivery,
    DeliveryStatus,
    DomainProfile,
    Message,
    MessageBody,
    MessageState,
    Template,
    TrackedLink,
)
from tracker.models.mailboxes import (
    Credential,
    FetchRetry,
    FirstWindow,
    Mailbox,
    MailboxFolder,
    MailboxListening,
    MailboxProblem,
    MailboxState,
    Notice,
    PendingAction,
)
from tracker.models.oauth import OAuthAttempt, OAuthGrant
from tracker.models.once import IdempotencyKey, Job, Submission
from tracker.models.people import (
    ApiToken,
    ConsentEntry,
    NoticeText,
    PolicyChange,
    Preference,
    Recipient,
    Role,
    SavedView,
    User,
    UserSession,
)
from tracker.models.privacy import Erasure, TrackingPause, TrackingView
from tracker.models.push import PushDelivery, PushKey, PushSubscription
from tracker.models.search import SearchChange, SearchEntry, SearchKind
from tracker.models.sites import (
    LetterSource,
    PageView,
    Site,
    SiteBlock,
    SiteEdge,
    SiteLease,
    SiteRule,
    SiteSource,
    Visit,
)
from tracker.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
