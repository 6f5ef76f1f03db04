//! Why a run did not do all that it was to do. The next one does it.

use shared::member_revocation::MarkError;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

/// The text goes to the log.
#[derive(Debug, Error)]
pub(crate) enum PeopleError {
    #[error(
        "Supabase says of {deleted} of {answered} people that they are deleted, which nobody believes: nobody's connections were ended \
         for it. Is SUPABASE_URL the project of these people, and was it restored?"
    )]
    Implausible { deleted: usize, answered: usize },
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Mark(#[from] MarkError),
}
