//! What an RSA public key and an ECDSA signature have in common: two integers in DER (X.690).

use spki::der::asn1::UintRef;
use spki::der::{Decode, Error, Reader, SliceReader};

/// The two positive integers of a sequence, each without leading zeros: `RSAPublicKey` (RFC 8017 A.1.1) and `Ecdsa-Sig-Value`
/// (RFC 3279 §2.2.3).
pub(super) fn two_integers(der: &[u8]) -> Option<[&[u8]; 2]> {
    let mut reader = SliceReader::new(der).ok()?;
    let integers: Result<_, Error> =
        reader.sequence(|sequence| Ok([UintRef::decode(sequence)?, UintRef::decode(sequence)?]));
    let [first, second] = integers.ok().filter(|_| reader.is_finished())?;
    Some([first.as_bytes(), second.as_bytes()])
}
