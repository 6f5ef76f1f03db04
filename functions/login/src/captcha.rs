//! A captcha, for projects that demand one: the widget in our forms that send a password or ask for a mail, and its token, which
//! goes on to Supabase. Supabase alone can check it, with the secret key that it was given.

use serde::Serialize;
use shared::environment::{ConfigError, Environment};
use shared::http::layout::ThirdParty;
use thiserror::Error;

use crate::error::LoginError;
use crate::form::SubmittedForm;

/// What the page does beside the provider's own script, to the byte: the form waits for the token.
pub(crate) const SCRIPT: &str = include_str!("captcha.js");

/// The widget of the deployment's captcha.
pub(crate) struct CaptchaWidget {
    provider: Provider,
    site_key: String,
}

/// Whose captcha it is: those that Supabase knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    /// Cloudflare's Turnstile.
    Turnstile,
    /// hCaptcha.
    HCaptcha,
}

/// What a form brings to prove that its sender is a person, as Supabase wants it (`gotrue_meta_security`): a token of the
/// widget, or nothing where there is none. Has no `Debug`.
#[derive(Serialize)]
pub(crate) struct CaptchaToken {
    #[serde(skip_serializing_if = "Option::is_none")]
    captcha_token: Option<String>,
}

/// Why a form proves nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum CaptchaError {
    /// The project demands what this deployment does not show.
    #[error("the project demands a captcha: deploy with its CaptchaProvider and CaptchaSiteKey")]
    NotSetUp,
    /// The form was sent before the widget had a token, or without JavaScript.
    #[error("no token of the captcha's widget in the form")]
    Missing,
    /// A token counts once and for minutes.
    #[error(
        "Supabase refused the captcha's token: it was used or too old, or the secret key at Supabase is not the one that \
         belongs to CaptchaSiteKey"
    )]
    LoginErrorPage,
}

impl CaptchaWidget {
    /// From `CAPTCHA_PROVIDER` (`turnstile`, `hcaptcha`, or `none`) and `CAPTCHA_SITE_KEY`.
    ///
    /// # Errors
    /// When one is there without the other, or the key is not a site key of that provider.
    pub(crate) fn new(environment: &Environment) -> Result<Option<Self>, ConfigError> {
        let provider = environment.optional("CAPTCHA_PROVIDER").filter(|name| name != "none");
        match (provider, environment.optional("CAPTCHA_SITE_KEY")) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(ConfigError::Missing("CAPTCHA_SITE_KEY")),
            (None, Some(_)) => Err(ConfigError::Missing("CAPTCHA_PROVIDER")),
            (Some(name), Some(site_key)) => {
                const UNKNOWN: ConfigError = ConfigError::Unusable("CAPTCHA_PROVIDER", "turnstile, hcaptcha or none");
                let provider = Provider::parse(&name).ok_or(UNKNOWN)?;
                if provider.is_site_key(&site_key) {
                    Ok(Some(Self { provider, site_key }))
                } else {
                    Err(ConfigError::Unusable("CAPTCHA_SITE_KEY", "a site key of that provider, not its secret key"))
                }
            }
        }
    }

    /// The class by which the provider's script finds where to draw.
    pub(crate) const fn class(&self) -> &'static str {
        match self.provider {
            Provider::Turnstile => "cf-turnstile",
            Provider::HCaptcha => "h-captcha",
        }
    }

    /// The field of the form in which the token is.
    pub(crate) const fn field(&self) -> &'static str {
        match self.provider {
            Provider::Turnstile => "cf-turnstile-response",
            Provider::HCaptcha => "h-captcha-response",
        }
    }

    pub(crate) fn site_key(&self) -> &str {
        &self.site_key
    }

    /// The provider's own script.
    pub(crate) const fn source(&self) -> &'static str {
        match self.provider {
            Provider::Turnstile => "https://challenges.cloudflare.com/turnstile/v0/api.js",
            // Else the token would be in the form a second time, under reCAPTCHA's name.
            Provider::HCaptcha => "https://js.hcaptcha.com/1/api.js?recaptchacompat=off",
        }
    }

    /// What the page must let in, by the provider's documentation: Turnstile, "Content Security Policy"; hCaptcha, "Developer
    /// Guide", which wants no narrower hosts named.
    pub(crate) const fn third_party(&self) -> ThirdParty {
        const CLOUDFLARE: &[&str] = &["https://challenges.cloudflare.com"];
        const HCAPTCHA: &[&str] = &["https://hcaptcha.com", "https://*.hcaptcha.com"];
        match self.provider {
            Provider::Turnstile => {
                ThirdParty { script_src: CLOUDFLARE, frame_src: CLOUDFLARE, style_src: &[], connect_src: &[] }
            }
            Provider::HCaptcha => {
                ThirdParty { script_src: HCAPTCHA, frame_src: HCAPTCHA, style_src: HCAPTCHA, connect_src: HCAPTCHA }
            }
        }
    }
}

impl Provider {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "turnstile" => Some(Self::Turnstile),
            "hcaptcha" => Some(Self::HCaptcha),
            _ => None,
        }
    }

    /// A site key stands in every page. The secret key, which must not, looks much the same, but is longer.
    fn is_site_key(self, text: &str) -> bool {
        match self {
            // Cloudflare API, "Turnstile": at most 32 characters. A secret key has 35.
            Self::Turnstile => {
                text.len() <= 32
                    && text.as_bytes().get(1) == Some(&b'x')
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            }
            // A UUID.
            Self::HCaptcha => {
                text.len() == 36
                    && text.bytes().enumerate().all(|(at, byte)| match at {
                        8 | 13 | 18 | 23 => byte == b'-',
                        _ => byte.is_ascii_hexdigit(),
                    })
            }
        }
    }
}

impl CaptchaToken {
    /// What `form` brings, if a widget was in it.
    pub(crate) fn of(widget: Option<&CaptchaWidget>, form: &SubmittedForm) -> Result<Self, CaptchaError> {
        let captcha_token = match widget {
            Some(widget) => Some(form.value(widget.field()).ok_or(CaptchaError::Missing)?.to_owned()),
            None => None,
        };
        Ok(Self { captcha_token })
    }

    /// Supabase's error, in what it means where no widget was shown.
    pub(crate) fn explain(&self, error: LoginError) -> LoginError {
        match (error, &self.captcha_token) {
            (LoginError::Captcha(_), None) => LoginError::Captcha(CaptchaError::NotSetUp),
            (error, _) => error,
        }
    }
}

impl CaptchaError {
    /// For the person.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::NotSetUp => "Signing in by e-mail needs a check that this page cannot show. Choose another way.",
            Self::Missing => {
                "The check that you are not a program was not done. Wait for it to be done, then send the form again."
            }
            Self::LoginErrorPage => {
                "The check that you are not a program had run out or failed, so nothing that you typed was looked at. Here is \
                 a new check: please send the form again."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn site_key_matches_its_provider() {
        for (provider, text, good) in [
            (Provider::Turnstile, "1x00000000000000000000AA", true),
            (Provider::Turnstile, "0x4AAAAAAADnPIDROrmt1Wwj", true),
            (Provider::Turnstile, "1x0000000000000000000000000000000AA", false),
            (Provider::Turnstile, "10000000-ffff-ffff-ffff-000000000001", false),
            (Provider::Turnstile, "0x4\"><script>", false),
            (Provider::Turnstile, "x", false),
            (Provider::HCaptcha, "10000000-ffff-ffff-ffff-000000000001", true),
            (Provider::HCaptcha, "0x0000000000000000000000000000000000000000", false),
            (Provider::HCaptcha, "1x00000000000000000000AA", false),
        ] {
            assert_eq!(provider.is_site_key(text), good, "{provider:?} {text}");
        }
    }
}
