//! What is well known of a system that serves one machine, and made anew for one that a tunnel shows on the internet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::oauth::secret::{Secret, to_text};

use crate::data_dir::DataDir;
use crate::demo::DemoPasswords;
use crate::error::LocalError;

/// What opens a system, besides what is made anew for each: its keys, and the key for scripts.
pub(crate) struct SystemSecrets {
    /// Of the demo's people.
    pub(crate) passwords: DemoPasswords,
    /// What deliveries of the membership feed are signed with. Whoever knows it makes anybody a member.
    pub(crate) membership: String,
}

/// Holds the password of the demo's people.
const PASSWORD_FILE: &str = "demo-password";
/// Holds what deliveries of the membership feed are signed with.
const MEMBERSHIP_FILE: &str = "membership-secret";

impl SystemSecrets {
    /// Of a system that is public, or not, which has `well_known` as the secret of its feed. What is made for a public one stays in
    /// its folder.
    pub(crate) fn of(is_public: bool, folder: Option<&DataDir>, well_known: &str) -> Result<Self, LocalError> {
        if !is_public {
            let membership = well_known.to_owned();
            return Ok(Self { passwords: DemoPasswords::WellKnown, membership });
        }
        let password = kept(folder, PASSWORD_FILE, || to_text(Secret::<12>::random().expose()))?;
        let new = || format!("whsec_{}", STANDARD.encode(Secret::<32>::random().expose()));
        let membership = kept(folder, MEMBERSHIP_FILE, new)?;
        Ok(Self { passwords: DemoPasswords::Generated(password), membership })
    }
}

/// What the folder holds, or what `new` makes, which it holds from then on.
fn kept(folder: Option<&DataDir>, file: &str, new: impl Fn() -> String) -> Result<String, LocalError> {
    /// Of either. A shorter one was cut off.
    const SHORTEST: usize = 16;

    let Some(folder) = folder else { return Ok(new()) };
    if let Some(bytes) = folder.read(file)? {
        let text = String::from_utf8(bytes).ok();
        let text = text.filter(|text| text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic()));
        return text.ok_or_else(|| folder.damaged(file, &"not a secret", "which makes another secret").into());
    }
    let secret = new();
    folder.write(file, secret.as_bytes())?;
    Ok(secret)
}
