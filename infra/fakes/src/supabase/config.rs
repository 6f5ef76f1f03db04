//! What an operator sets for the project: the part of GoTrue's environment that changes how people sign in.

use std::sync::Arc;
use std::time::Duration;

use crate::captcha::Captcha;

/// Each field is named after its variable of GoTrue. The default is a project as Supabase creates it, with e-mail on,
/// phone off and without limits by address.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Supabase's, independent of the others")]
pub struct Config {
    /// `DISABLE_SIGNUP`: nobody gets a new account, and nobody confirms an address.
    pub disable_signup: bool,
    /// `MAILER_AUTOCONFIRM`: every address counts as confirmed. Only the settings tell it here, where nobody signs up.
    pub mailer_autoconfirm: bool,
    /// `EXTERNAL_EMAIL_ENABLED`
    pub email_enabled: bool,
    /// `EXTERNAL_EMAIL_MAGIC_LINK_ENABLED`: of mails alone; passwords work without it.
    pub magic_link_enabled: bool,
    /// `EXTERNAL_PHONE_ENABLED`. No message is ever sent: nobody here has a phone.
    pub phone_enabled: bool,
    /// Providers of the seed that are switched off by now (`EXTERNAL_…_ENABLED`).
    pub providers_off: Vec<String>,
    /// `SECURITY_CAPTCHA_ENABLED`, with the provider that is asked about tokens.
    pub captcha: Option<Arc<Captcha>>,
    /// The address in the condition of the template that we recommend (`MAILER_TEMPLATES_MAGIC_LINK` and
    /// `MAILER_TEMPLATES_CONFIRMATION`): a mail that leads there links to it with the hash of its code.
    pub callback_of_template: Option<String>,
    /// `SMTP_HOST` and `SMTP_PORT` lead nowhere.
    pub mail_server_down: bool,
    /// How long the mail server takes for each mail, while whoever asked for it waits.
    pub mail_takes: Duration,
    /// `EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES`: nobody else gets a mail. Empty means everybody.
    pub authorized_addresses: Vec<String>,
    /// `RATE_LIMIT_EMAIL_SENT`: mails in an hour, for all people together.
    pub mails_per_hour: Option<usize>,
    /// `RATE_LIMIT_HEADER=X-Forwarded-For`: requests that each address may make at once.
    pub burst: Option<u32>,
    /// `SECURITY_SB_FORWARDED_FOR_ENABLED`: a holder of the secret key says for which address a request is.
    pub forwarded_for_enabled: bool,
    /// `HOOK_CUSTOM_ACCESS_TOKEN`
    pub access_token_hook: Option<AccessTokenHook>,
    /// `SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION`
    pub refresh_token_version: RefreshTokenVersion,
    /// No `JWT_ISSUER`: tokens have no `iss`.
    pub without_issuer: bool,
    /// `OAUTH_SERVER_ENABLED`: Supabase's own OAuth server.
    pub oauth_server_enabled: bool,
}

/// What the project's custom access token hook does.
#[derive(Clone, Debug)]
pub enum AccessTokenHook {
    /// Answers 403 with this message.
    Refuses(String),
    /// Returns these claims alone, where they were there.
    Keeps(Vec<String>),
}

/// How refresh tokens are made and rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokenVersion {
    /// 12 random characters, each a row of its own.
    One,
    /// Signed, with the session's id and a counter.
    Two,
}

impl AccessTokenHook {
    /// Of the claims, those without which Supabase refuses what a hook returns.
    pub const REQUIRED: [&str; 11] =
        ["aal", "aud", "email", "exp", "iat", "is_anonymous", "iss", "phone", "role", "session_id", "sub"];

    /// The least that a hook may return.
    #[must_use]
    pub fn keeps_required() -> Self {
        Self::Keeps(Self::REQUIRED.map(str::to_owned).to_vec())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            disable_signup: false,
            mailer_autoconfirm: false,
            email_enabled: true,
            magic_link_enabled: true,
            phone_enabled: false,
            providers_off: Vec::new(),
            captcha: None,
            callback_of_template: None,
            mail_server_down: false,
            mail_takes: Duration::ZERO,
            authorized_addresses: Vec::new(),
            mails_per_hour: None,
            burst: None,
            forwarded_for_enabled: false,
            access_token_hook: None,
            refresh_token_version: RefreshTokenVersion::One,
            without_issuer: false,
            oauth_server_enabled: false,
        }
    }
}
