//! The captcha widget, for projects that demand a captcha. It is in our forms that send a password or request a mail.
//! Its token goes to Supabase, which checks it with the secret key.

use shared::environment::{ConfigError, Environment};
use shared::http::layout::ThirdParty;

/// Our script beside the provider's own: the form waits for the token.
pub(crate) const SCRIPT: &str = include_str!("captcha.js");

/// The widget of the deployment's captcha.
pub(crate) struct CaptchaWidget {
    provider: Provider,
    site_key: String,
}

/// The provider of the captcha: one of those that Supabase knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    /// Cloudflare's Turnstile.
    Turnstile,
    /// hCaptcha.
    HCaptcha,
}

impl CaptchaWidget {
    /// Reads `CAPTCHA_PROVIDER` (`turnstile`, `hcaptcha`, or `none`) and `CAPTCHA_SITE_KEY`.
    ///
    /// # Errors
    /// When only one of them is set, or the key is not a site key of that provider.
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

    /// The class of the element in which the provider's script draws the widget.
    pub(crate) const fn class(&self) -> &'static str {
        match self.provider {
            Provider::Turnstile => "cf-turnstile",
            Provider::HCaptcha => "h-captcha",
        }
    }

    /// The field of the form that holds the token.
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
            // Otherwise the form would hold the token a second time, under reCAPTCHA's name.
            Provider::HCaptcha => "https://js.hcaptcha.com/1/api.js?recaptchacompat=off",
        }
    }

    /// The sources that the page must allow, by the provider's documentation: Turnstile, "Content Security Policy"; hCaptcha,
    /// "Developer Guide", which asks not to name narrower hosts.
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

    /// Tells a site key, which every page contains, from a secret key. A secret key looks similar and is longer.
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
