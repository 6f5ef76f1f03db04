//! Why the template cannot be followed.

use thiserror::Error;

/// Why the template cannot be followed.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// It cannot be read.
    #[error("template.yaml: {0}")]
    Yaml(String),
    /// It names something that is not there, or that this machine has no counterpart for.
    #[error("template.yaml refers to {0}, which has no value here")]
    Reference(String),
    /// It calls a function in a way that is not known here.
    #[error("template.yaml has a call that is not known here: {0}")]
    Call(String),
    /// Something is not of the form that it must have.
    #[error("template.yaml has {0}")]
    Shape(String),
}
