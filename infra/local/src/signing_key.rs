//! The keys that KMS has here: for each kind of token one of each spec, so that a system can move from one to the other.

use std::sync::Mutex;

use fakes::kms::key::{Key, KeyError};
use fakes::kms::key_spec::KeySpec;

use crate::data_dir::DataDir;
use crate::error::LocalError;
use crate::key_arn::{KeyPurpose, alias, id};

/// Every key there is.
const ALL: [(KeyPurpose, KeySpec); 4] = [
    (KeyPurpose::AccessTokens, KeySpec::Rsa2048),
    (KeyPurpose::AccessTokens, KeySpec::EccNistP256),
    (KeyPurpose::ToolTokens, KeySpec::Rsa2048),
    (KeyPurpose::ToolTokens, KeySpec::EccNistP256),
];

/// The keys of a system: from its folder, or else the ones that all systems of this process share, as making an RSA key
/// takes a while.
pub(crate) fn open(folder: Option<&DataDir>) -> Result<Vec<Key>, LocalError> {
    ALL.into_iter().map(|(purpose, spec)| Ok(key(purpose, spec, folder)?.aliased(alias(purpose, spec)))).collect()
}

const fn file(purpose: KeyPurpose, spec: KeySpec) -> &'static str {
    match (purpose, spec) {
        (KeyPurpose::AccessTokens, KeySpec::Rsa2048) => "signing-key-rsa.pkcs8",
        (KeyPurpose::AccessTokens, KeySpec::EccNistP256) => "signing-key-p256.pkcs8",
        (KeyPurpose::ToolTokens, KeySpec::Rsa2048) => "tool-signing-key-rsa.pkcs8",
        (KeyPurpose::ToolTokens, KeySpec::EccNistP256) => "tool-signing-key-p256.pkcs8",
    }
}

fn key(purpose: KeyPurpose, spec: KeySpec, folder: Option<&DataDir>) -> Result<Key, LocalError> {
    let Some(folder) = folder else { return shared(purpose, spec).map_err(LocalError::Key) };
    let name = file(purpose, spec);
    if let Some(pkcs8) = folder.read(name)? {
        let loss = match purpose {
            KeyPurpose::AccessTokens => "which ends every access token that it signed",
            KeyPurpose::ToolTokens => "which ends the calls of tools that are under way",
        };
        return Key::from_pkcs8(id(purpose, spec), &pkcs8).map_err(|error| folder.damaged(name, &error, loss).into());
    }
    let key = Key::generate(spec, id(purpose, spec)).map_err(LocalError::Key)?;
    folder.write(name, key.to_pkcs8())?;
    Ok(key)
}

fn shared(purpose: KeyPurpose, spec: KeySpec) -> Result<Key, KeyError> {
    static KEPT: Mutex<Vec<(&str, Vec<u8>)>> = Mutex::new(Vec::new());

    let id = id(purpose, spec);
    // Whoever comes first makes it, and the others wait, so that every system has the same.
    let mut kept = KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, pkcs8)) = kept.iter().find(|(of, _)| *of == id) {
        return Key::from_pkcs8(id, pkcs8);
    }
    let key = Key::generate(spec, id)?;
    kept.push((id, key.to_pkcs8().to_vec()));
    Ok(key)
}
