//! A person of the deployment whom the doctor may connect as.

/// Who tries to connect.
pub(crate) struct TestPerson {
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) tenant: Option<String>,
}
