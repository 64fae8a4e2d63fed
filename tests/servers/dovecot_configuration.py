"""What Dovecot is told. 2.4 gave nearly every setting about users, mail and TLS another name."""

SINCE_2_4 = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
mail_home = {folder}/home/%{{user}}
mail_driver = maildir
mail_path = ~/Maildir
auth_username_format = %{{user | lower}}
auth_allow_cleartext = yes
ssl_server_cert_file = {cert}
ssl_server_key_file = {key}
protocols {{
  imap = yes
  pop3 = yes
}}
passdb passwd-file {{
  passwd_file_path = {folder}/users/%{{user}}
  default_password_scheme = PLAIN
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {folder}/home/%{{user}}
  }}
}}
"""

# One process serves many connections: a new one for each is for servers that strangers reach.
UNTIL_2_3 = """
mail_home = {folder}/home/%u
service imap-login {{
  service_count = 0
}}
service imap {{
  service_count = 100
  process_limit = 100
}}
service pop3-login {{
  service_count = 0
}}
service pop3 {{
  service_count = 100
  process_limit = 100
}}
mail_location = maildir:~/Maildir
auth_username_format = %Lu
disable_plaintext_auth = no
ssl_cert = <{cert}
ssl_key = <{key}
protocols = imap pop3
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users/%u
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
"""

# Beside passwords: access tokens, of which an authorisation server says whose they are (RFC 7662).
OAUTH_SINCE_2_4 = """
auth_mechanisms = plain login xoauth2 oauthbearer
passdb oauth2 {{
  mechanisms_filter = xoauth2 oauthbearer
}}
oauth2 {{
  introspection_url = {introspection}
  introspection_mode = post
  username_attribute = email
  active_attribute = active
  active_value = true
}}
"""

OAUTH_UNTIL_2_3 = """
auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""

OAUTH_FILE_UNTIL_2_3 = """
introspection_url = {introspection}
introspection_mode = post
username_attribute = email
active_attribute = active
active_value = true
client_id = dovecot
client_secret = dovecot
"""

ALWAYS = """
listen = {listen}
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
mail_fsync = never
mail_max_userip_connections = 50
auth_failure_delay = 0
ssl = yes
pop3_no_flag_updates = yes
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    auto = subscribe
    special_use = \\Drafts
  }}
  mailbox "Sent Items" {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Junk {{
    auto = subscribe
    special_use = \\Junk
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


def configuration(version: str, **values: object) -> str:
    """The text of dovecot.conf for a version such as "2.3.19.1"; `values` fill every name in braces above."""
    newer = is_2_4(version)
    oauth = (OAUTH_SINCE_2_4 if newer else OAUTH_UNTIL_2_3) if values.get("introspection") else ""
    # the version lines of 2.4 must come first
    return ((SINCE_2_4 if newer else UNTIL_2_3) + oauth + ALWAYS).format(**values)


def is_2_4(version: str) -> bool:
    major, minor = (int(part) for part in version.split(".")[:2])
    return (major, minor) >= (2, 4)
