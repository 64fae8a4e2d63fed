"""Which columns may tell of a person we correspond with. A test holds this list against the tables.

Erasure goes by it: ``person`` and ``words`` are searched for the address whatever else happens to the row; what happens to rows
that are about the person is in :mod:`tracker.privacy.erase`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """The columns of one table by what they hold.

    ``person`` names a correspondent; ``about`` says what they did or want; ``words`` are free texts, in which anything may stand;
    ``staff`` is about our own people; ``plain`` tells of nobody.
    """

    person: frozenset[str]
    about: frozenset[str]
    words: frozenset[str]
    staff: frozenset[str]
    plain: frozenset[str]

    @property
    def searched(self) -> frozenset[str]:
        return self.person | self.words

    def every(self) -> list[str]:
        """Each column, as often as it is named."""
        return [name for part in (self.person, self.about, self.words, self.staff, self.plain) for name in part]


def _columns(person: str = "", about: str = "", words: str = "", staff: str = "", plain: str = "") -> Columns:
    return Columns(*(frozenset(part.split()) for part in (person, about, words, staff, plain)))


DATA: Mapping[str, Columns] = {
    # --- the people we write to
    "recipient": _columns(
        person="address lookup name company",
        about="jurisdiction country never_track paused_at restricted_at ledger_entries",
        plain="id public_id ledger_digest created_at erased_at",
    ),
    "consent_entry": _columns(
        about="purpose state at recorded_at channel grade notice notice_version notice_language notice_digest double_opt_in "
        "confirmed_at jurisdiction valid_until",
        words="note question control reference source_url request_message_id evidence",
        staff="actor",
        plain="id public_id recipient_id number pack pack_version attachment_digest salt proof_digest erased_at previous_digest "
        "digest",
    ),
    "tracking_pause": _columns(
        about="recipient_id said_at began_at due_at decided_at decision",
        words="words",
        staff="user_id",
        plain="id public_id letter_id content_hash",
    ),
    "notice_text": _columns(plain="digest text kept_at"),
    "erasure": _columns(staff="actor", plain="id public_id digest at text done"),
    "tracking_view": _columns(about="recipient_id what day", staff="user_id", plain="id"),
    # --- mail to them
    "message": _columns(
        person="names",
        about="opens_tracked clicks_tracked opens clicks machine replies bounces first_opened_at last_activity_at",
        words="subject snippet in_reply_to thread note sent_copy_detail",
        staff="user_id account_id from_address from_name muted follow_up_at follow_up_due_at handled_at",
        plain="id template_id public_id message_id state track_opens track_links personal_link created_at send_at sent_at "
        "listed_at has_attachments sent_copy sent_copy_tries sent_copy_at html_bytes_before html_bytes_after",
    ),
    "message_body": _columns(person="recipients", words="html text raw", plain="message_id"),
    "attachment": _columns(words="filename content", plain="id public_id message_id cid content_type size"),
    "delivery": _columns(
        person="address name mx_family",
        about="frozen opens_on opens_rule clicks_on clicks_rule first_opened_at last_opened_at first_clicked_at last_clicked_at "
        "opens clicks machine",
        words="reply",
        staff="account_id handled_at",
        plain="pack_version id public_id message_id recipient_id position role status tries next_try_at accepted_at "
        "rejected_at",
    ),
    "tracked_link": _columns(words="url text", about="clicks", plain="id message_id position tracked reason"),
    "domain_profile": _columns(person="domain host", plain="mx_family problem tries looked_up_at due_at"),
    # --- what they did with it
    "event": _columns(
        about="kind at link klass confidence reasons vendor client merged counted overruled summed settle_at alerted edge hit",
        plain="id public_id message_id delivery_id",
    ),
    "verdict": _columns(
        about="klass confidence reasons trigger", staff="decided_by", plain="id event_id version rule_set decided_at"
    ),
    "hit_evidence": _columns(about="at sealed source crowd", plain="event_id look_up_since expires_at"),
    "hit_aside": _columns(about="sealed", words="problem", plain="id edge hit tries try_at expires_at"),
    "scanner_network": _columns(plain="digest first_at person_at checked_at expires_at"),
    "scanner_proof": _columns(plain="network message_id code at"),
    "notification": _columns(
        about="kind count opens clicks client news told machine vendor first_at at",
        words="detail",
        staff="user_id held_until read_at",
        plain="id public_id subject message_id delivery_id",
    ),
    "feed_item": _columns(staff="user_id", plain="id kind subject at"),
    "drain_cursor": _columns(plain="edge after read_at"),
    "drain_backlog": _columns(plain="id edge after until"),
    # --- letters from them
    "letter": _columns(
        person="sender sender_address sender_name reply_to to cc recipient",
        about="received_at sent_at category category_reason counted repeat_of_id withdrawn_at",
        words="subject snippet message_id in_reply_to references thread",
        staff="user_id read_at",
        plain="id public_id mailbox_id identity content_hash header_hash gmail_id loaded_at size has_attachments server_flags "
        "enquiry_key_id in_reply_to_message_id delivery_id reply_rule defects flags too_large unparsed recovered backfilled "
        "silent deleted_at",
    ),
    "customer": _columns(
        person="name external_id",
        about="tags source",
        staff="manager_id",
        plain="id public_id shop_id version created_at changed_at",
    ),
    "customer_import": _columns(
        words="name refusals",
        staff="user_id assigned",
        plain="id public_id columns total done created changed unchanged refused created_at finished_at",
    ),
    "customer_import_part": _columns(words="rows", plain="import_id number"),
    "customer_address": _columns(person="address lookup created_for", plain="id customer_id position"),
    # the words of whatever is searched, which follow their rows in the same transaction
    "search_entry": _columns(plain="entry words"),
    "search_change": _columns(plain="id kind row_id fresh"),
    "customer_order": _columns(
        person="external_id",
        about="number status customer_id",
        staff="manager_id",
        plain="id public_id shop_id shop_key version created_at changed_at",
    ),
    "letter_binding": _columns(
        about="customer_id order_id rule flags received_at",
        words="number",
        staff="decided_by",
        plain="letter_id decided_at",
    ),
    "enquiry_status": _columns(
        person="sender",
        about="received_at waiting_since",
        staff="user_id manager_id answered_at answered_by last_answer_at snoozed_until done_at",
        plain="letter_id mailbox_id version",
    ),
    "enquiry_change": _columns(staff="user_id what to_user_id until", plain="id letter_id at"),
    "webhook_endpoint": _columns(
        words="url",
        staff="user_id",
        plain="id public_id kinds secret secret_before secret_before_until active problem failing_since created_at",
    ),
    "webhook_event": _columns(words="body", plain="id public_id kind at"),
    "webhook_delivery": _columns(plain="id endpoint_id event_id due_at tries first_try_at delivered_at"),
    "webhook_attempt": _columns(plain="id delivery_id at status problem milliseconds"),
    "push_key": _columns(plain="id public secret created_at"),
    "push_subscription": _columns(
        staff="user_id session_id", plain="id endpoint_digest sealed failing_since created_at"
    ),
    "push_delivery": _columns(plain="id subscription_id notification_id due_at tries"),
    "shop": _columns(plain="id public_id name created_at"),
    "manager_group": _columns(plain="id public_id name turn created_at"),
    "manager_group_member": _columns(staff="user_id turn", plain="group_id"),
    "letter_body": _columns(words="text html headers", plain="letter_id"),
    "letter_raw": _columns(words="content", plain="letter_id number"),
    "letter_attachment": _columns(
        words="filename written_name content_id",
        plain="id public_id letter_id position part content_type inline size digest",
    ),
    "letter_copy": _columns(plain="id letter_id folder_id uidvalidity uid uidl seen_at"),
    "enquiry_key": _columns(person="sender recipient", plain="id mailbox_id"),
    "notice": _columns(
        words="facts subject",
        staff="user_id",
        plain="id event mailbox_id letter_id created_at due_at rung_at tries problem sent_at",
    ),
    # --- websites and who came to them
    "site": _columns(
        words="addresses",
        staff="user_id name",
        plain="id public_id key hosts session_minutes cookie_days attribution consent_mode ignore_robots ignored_referrers "
        "created_at changed_at removed_at",
    ),
    "site_block": _columns(
        staff="user_id name", plain="id public_id sites selectors seen_at views_since is_error created_at removed_at"
    ),
    "site_source": _columns(
        staff="user_id name", plain="id public_id position channel group conditions created_at removed_at"
    ),
    "site_rule": _columns(
        staff="user_id name description",
        plain="id public_id position rule_type tracking_type traffic_type substitution_type state sources static_settings "
        "external_settings dynamic_settings lease_minutes rest_days probe probe_code probe_at probe_due_at probe_detail "
        "created_at changed_at "
        "removed_at",
    ),
    "site_edge": _columns(plain="name letter digest published_at problem"),
    "site_visit": _columns(
        about="visitor session number began_at seen_at source attributed pages device client screen language timezone covered "
        "approved robot",
        words="marks referrer phrase entrance_page page",
        staff="user_id",
        plain="id public_id site_id rule_id",
    ),
    "site_page_view": _columns(about="at", words="page", plain="id visit_id edge hit"),
    "site_lease": _columns(
        about="shown_at seen_at until intent_at", plain="id address code pool block visit_id rule_id"
    ),
    "letter_source": _columns(
        person="sender",
        about="received_at method source flags code visit_id",
        words="address",
        staff="user_id",
        plain="letter_id rule_id site_id decided_at",
    ),
    # --- answers and errors that may repeat any of it
    "idempotency_key": _columns(words="path body", staff="user_id", plain="id key request_digest status created_at"),
    "submission": _columns(staff="user_id", plain="id mark message_id created_at"),
    "mailbox_problem": _columns(words="detail", plain="id mailbox_id letter_id code at told_at"),
    "fetch_retry": _columns(words="problem", plain="id folder_id uidvalidity uid uidl tries try_at"),
    "pending_action": _columns(words="problem", plain="id folder_id kind uidvalidity uid uidl due_at tries"),
    "process": _columns(words="tasks", plain="id place number started started_at at"),
    "lease": _columns(plain="kind subject token process until"),
    # --- our own people, their accounts and mailboxes
    "user_account": _columns(
        staff="email name role password_hash active locale timezone theme editor status track_opens track_links undo_seconds "
        "in_team_totals signature "
        "quiet_kinds quiet_from quiet_until quiet_ends_at digest_hour digest_at digest_since first_view_id",
        plain="id public_id created_at",
    ),
    "saved_view": _columns(words="name query", staff="user_id", plain="id public_id list created_at"),
    "user_session": _columns(staff="user_id token_digest created_at seen_at expires_at address_digest", plain="id"),
    "sign_in_failure": _columns(staff="subject at", plain="failures"),
    "api_token": _columns(staff="user_id name token_digest used_at", plain="id public_id created_at revoked_at"),
    "oauth_attempt": _columns(
        staff="user_id visit_digest subject", plain="state_digest provider verifier purpose expires_at"
    ),
    "oauth_grant": _columns(
        staff="user_id address",
        plain="id public_id provider refresh_token access_token access_expires_at state detail granted_at",
    ),
    "account": _columns(
        staff="user_id name address smtp_login imap_login signature",
        plain="id measure_opens measure_clicks public_id "
        "preset smtp_host smtp_port smtp_security smtp_secret imap_host imap_port imap_security imap_secret "
        "oauth_grant_id sent_folder files_own_copy replaces_copy "
        "per_minute per_day paused_until pause_reason confirmed_at state state_detail checked_at created_at removed_at "
        "sent_read_at sent_uidvalidity sent_uid",
    ),
    "credential": _columns(
        staff="user_id name login",
        plain="id public_id preset protocol host port security auth secret grant_id created_at changed_at",
    ),
    "mailbox": _columns(
        staff="user_id name address canonical form_robots",
        plain="id public_id credential_id active repeat_period_days folders all_folders first_window collect_pause_days "
        "only_unread mark_read delete_loaded delete_after_days delete_since notify_manager create_customer notify_skipped "
        "unwrap_forwarded group shop state state_detail state_since found_folders letters_on_server capabilities gmail checked_at "
        "active_since paused_at due_at sync_wanted run_started_at run_ended_at run_problem run_loaded "
        "good_run_at failures login_failures login_failed_at broken_at created_at removed_at",
    ),
    "mailbox_listening": _columns(plain="mailbox_id since not_before refused_at"),
    "mailbox_folder": _columns(
        plain="id mailbox_id raw_name name delimiter uidvalidity last_uid cut_off good_run_at rebuilt_at"
    ),
    "preference": _columns(staff="changed_by", words="value", plain="name changed_at"),
    "message_template": _columns(
        words="subject html", staff="user_id name", plain="id public_id shared created_at changed_at"
    ),
    "policy_change": _columns(words="reason", staff="changed_by", plain="id at name before after"),
    "host_health": _columns(words="problem", plain="id url healthy failures checked_at since"),
    "job": _columns(plain="name due_at"),
}
