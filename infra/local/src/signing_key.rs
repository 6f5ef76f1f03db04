//! The keys that KMS has here: one of each kind, so that a system can move from one to the other.

use std::sync::OnceLock;

use fakes::kms::key::{Key, KeyError};
use fakes::kms::key_spec::KeySpec;

use crate::data_dir::DataDir;
use crate::error::LocalError;

/// The keys of a system: from its folder, or else the ones that all systems of this process share, as making an RSA key
/// takes a while.
pub(crate) fn open(folder: Option<&DataDir>) -> Result<Vec<Key>, LocalError> {
    [KeySpec::Rsa2048, KeySpec::EccNistP256]
        .into_iter()
        .map(|spec| Ok(key(spec, folder)?.aliased(alias(spec))))
        .collect()
}

/// The id of the key of that kind.
pub(crate) const fn id(spec: KeySpec) -> &'static str {
    match spec {
        KeySpec::Rsa2048 => "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        KeySpec::EccNistP256 => "0f8fad5b-d9cb-469f-a165-70867728950e",
    }
}

const fn alias(spec: KeySpec) -> &'static str {
    match spec {
        KeySpec::Rsa2048 => "alias/amble-connect-rsa",
        KeySpec::EccNistP256 => "alias/amble-connect-p256",
    }
}

fn key(spec: KeySpec, folder: Option<&DataDir>) -> Result<Key, LocalError> {
    let Some(folder) = folder else { return shared(spec).map_err(LocalError::Key) };
    let name = match spec {
        KeySpec::Rsa2048 => "signing-key-rsa.pkcs8",
        KeySpec::EccNistP256 => "signing-key-p256.pkcs8",
    };
    if let Some(pkcs8) = folder.read(name)? {
        const LOSS: &str = "which ends every access token that it signed";
        return Key::from_pkcs8(id(spec), &pkcs8).map_err(|error| folder.damaged(name, &error, LOSS).into());
    }
    let key = Key::generate(spec, id(spec)).map_err(LocalError::Key)?;
    folder.write(name, key.to_pkcs8())?;
    Ok(key)
}

fn shared(spec: KeySpec) -> Result<Key, KeyError> {
    static RSA: OnceLock<Vec<u8>> = OnceLock::new();
    static P256: OnceLock<Vec<u8>> = OnceLock::new();

    let kept = match spec {
        KeySpec::Rsa2048 => &RSA,
        KeySpec::EccNistP256 => &P256,
    };
    if let Some(pkcs8) = kept.get() {
        return Key::from_pkcs8(id(spec), pkcs8);
    }
    let key = Key::generate(spec, id(spec))?;
    // Whoever came first is kept, so that every system has the same.
    Key::from_pkcs8(id(spec), kept.get_or_init(|| key.to_pkcs8().to_vec()))
}
