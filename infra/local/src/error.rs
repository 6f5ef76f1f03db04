//! Everything that keeps a system from starting, or from going on.

use std::io;
use std::path::PathBuf;

use fakes::kms::key::KeyError;
use fakes::kms::mac_key::NoRandomnessError;
use fakes::supabase::setup_error::SetupError;
use shared::environment::ConfigError;
use shared::upstream_error::UpstreamError;
use thiserror::Error;
use workspace_file::plan::ApplyError;
use workspace_file::validation_error::ValidationErrors;

use crate::data_dir::DataDirError;
use crate::listener::ListenError;
use crate::member::MemberError;
use crate::project::ProjectError;
use crate::tables::TablesError;
use crate::template::error::TemplateError;

/// Why there is no system.
#[derive(Debug, Error)]
pub enum LocalError {
    /// A port.
    #[error(transparent)]
    Listener(#[from] ListenError),
    /// The folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The folder of `--env`.
    #[error("{0} cannot be written ({1}): choose another folder with --env DIR")]
    EnvDir(PathBuf, io::Error),
    /// The template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The template has a route that cannot be served.
    #[error("template.yaml has a route that is not served here, or has it twice: {0}")]
    Route(String),
    /// The console and the sign-in page cannot be there.
    #[error(
        "the console cannot be at {0} and the sign-in page at {1}: give two paths of lower-case words such as /connect/admin and \
         /connect/auth, neither below the other nor below what else is served"
    )]
    PublicPaths(String, String),
    /// The template changes answers in a way that API Gateway refuses, or that is not known here.
    #[error("template.yaml has responseParameters that are not applied here: {0}")]
    Mapping(String),
    /// The template names a program that is not linked in.
    #[error("template.yaml has a function {0}, which is not part of the local system")]
    NoProgram(String),
    /// A program did not start.
    #[error("{0} does not start: {1}")]
    Function(String, ConfigError),
    /// A program as it is deployed did not.
    #[error("the program of {0} does not start: {1}")]
    Process(String, String),
    /// The tables.
    #[error(transparent)]
    Tables(#[from] TablesError),
    /// The signing key.
    #[error("the signing key: {0}")]
    Key(KeyError),
    /// The key of refresh tokens.
    #[error("the key of refresh tokens: {0}")]
    MacKey(NoRandomnessError),
    /// The sign-in service.
    #[error("the fake Supabase: {0}")]
    Supabase(#[from] SetupError),
    /// A project of one's own.
    #[error(transparent)]
    SupabaseProject(#[from] ProjectError),
    /// Somebody whom the command line names is not let in.
    #[error(transparent)]
    MemberError(#[from] MemberError),
    /// An operator's setting.
    #[error(transparent)]
    Operator(#[from] ConfigError),
    /// A table failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// A workspace file has mistakes.
    #[error("a workspace file cannot be used:\n{0}")]
    Workspace(#[from] ValidationErrors),
    /// Something of a workspace file was not written.
    #[error(transparent)]
    ApplyError(#[from] ApplyError),
    /// Something of the demo is not well-formed.
    #[error("the demo has {0} that is none")]
    Demo(&'static str),
}
