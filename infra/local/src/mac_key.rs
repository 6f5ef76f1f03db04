//! The HMAC key that KMS has here, of which `token` derives the key of refresh tokens.

use std::sync::OnceLock;

use fakes::kms::mac_key::MacKey;

use crate::data_dir::DataDir;
use crate::error::LocalError;
use crate::key_arn::REFRESH_TOKEN_KEY;

const FILE: &str = "refresh-token-key.hmac";

/// The key of a system: from its folder, or else the one that all systems of this process share.
pub(crate) fn open(folder: Option<&DataDir>) -> Result<MacKey, LocalError> {
    let new = || MacKey::generate(REFRESH_TOKEN_KEY).map_err(LocalError::MacKey);
    let Some(folder) = folder else { return shared(new) };
    if let Some(kept) = folder.read(FILE)? {
        let bytes = <[u8; 32]>::try_from(kept).map_err(|kept| {
            let reason = format!("it has {} bytes and not 32", kept.len());
            folder.damaged(
                FILE,
                &reason,
                "which leaves it to the table alone to tell older refresh tokens from newer ones",
            )
        })?;
        return Ok(MacKey::from_bytes(REFRESH_TOKEN_KEY, bytes));
    }
    let key = new()?;
    folder.write(FILE, key.as_bytes())?;
    Ok(key)
}

fn shared(new: impl Fn() -> Result<MacKey, LocalError>) -> Result<MacKey, LocalError> {
    static KEPT: OnceLock<[u8; 32]> = OnceLock::new();

    let bytes = if let Some(kept) = KEPT.get() {
        *kept
    } else {
        let key = new()?;
        // Of two that come at once, one's is kept.
        *KEPT.get_or_init(|| *key.as_bytes())
    };
    Ok(MacKey::from_bytes(REFRESH_TOKEN_KEY, bytes))
}
