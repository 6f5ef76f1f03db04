//! The errors of the form on the consent page. After each, the page is shown again.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::upstream_error::{UpstreamError, UpstreamErrorKind};

/// Why a form of the page was not accepted.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConsentFormError {
    /// The CSRF token is not of this session and this request.
    Forged,
    /// The page was shown to another account, which was signed in in this browser before.
    AnotherAccount,
    NoDecision,
    NoTenant,
    /// The address is for one tenant, and the person chose another.
    AnotherTenant,
    NothingTicked,
    NothingAllowed,
    /// The page was shown too long ago.
    Expired,
    /// The same form, or one of the same page, has approved before, and its code is over; or it approved something else.
    AlreadyApproved,
    /// The person has approved as often as they may in this hour.
    TooManyApprovals,
    /// The person has as many connections of the client as they may, and all of them are in use.
    TooManyConnections,
    /// The person has as many, and one that is not in use would end.
    ReplacesAnother,
    /// The person signed in longer ago than the deployment allows for an approval.
    SignInTooOld,
    /// The deployment wants a recent sign-in, and the session does not say when it was.
    SignInTimeUnknown,
    /// A service of ours failed.
    Unavailable,
    /// Supabase wants fewer calls.
    TooManyRequests,
}

/// Where the page puts the focus after an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    None,
    Tenant,
    Scope,
}

impl ConsentFormError {
    /// The table of errors: word for the audit, status of the page, focus and sentence. `Unavailable` keeps the status of an
    /// upstream error, by which it is counted.
    const fn row(self) -> (&'static str, StatusCode, Focus, &'static str) {
        match self {
            Self::Forged => (
                "forged",
                StatusCode::OK,
                Focus::None,
                "This page was open for too long, or your account has changed. Please look again and decide.",
            ),
            Self::AnotherAccount => (
                "another_account",
                StatusCode::OK,
                Focus::None,
                "You are signed in with another account than when this page was opened; nothing was connected. Please look again and decide.",
            ),
            Self::NoDecision => ("no_decision", StatusCode::OK, Focus::None, "Choose Approve or Deny."),
            Self::NoTenant => {
                ("no_tenant", StatusCode::OK, Focus::Tenant, "Choose the workspace that this connection is for.")
            }
            Self::AnotherTenant => (
                "another_tenant",
                StatusCode::OK,
                Focus::Tenant,
                "This address is for one workspace, and connects no other.",
            ),
            Self::NothingTicked => (
                "nothing_ticked",
                StatusCode::OK,
                Focus::Scope,
                "Leave at least one permission ticked, or choose Deny.",
            ),
            Self::NothingAllowed => (
                "nothing_allowed",
                StatusCode::OK,
                Focus::Tenant,
                "Your role in that workspace allows nothing of what is ticked.",
            ),
            Self::SignInTooOld => (
                "sign_in_too_old",
                StatusCode::OK,
                Focus::None,
                "An approval takes a recent sign-in. Please look again and decide.",
            ),
            Self::SignInTimeUnknown => (
                "sign_in_time_unknown",
                StatusCode::OK,
                Focus::None,
                "An approval takes a recent sign-in, and your session does not say when it was; nothing was connected. \
                 Tell those who run this service: their custom access token hook must keep the claim amr with its times.",
            ),
            Self::TooManyRequests => (
                "unavailable",
                StatusCode::TOO_MANY_REQUESTS,
                Focus::None,
                "Too many people sign in at the moment; nothing was connected. Please try again in a minute.",
            ),
            Self::Expired => (
                "expired",
                StatusCode::OK,
                Focus::None,
                "This page was open for more than an hour; nothing was connected. Please look again and decide.",
            ),
            Self::AlreadyApproved => (
                "already_approved",
                StatusCode::OK,
                Focus::None,
                "You have approved that page before, and it makes one connection only: nothing more was connected. If your \
                 application does not work, start again from there, or look again and decide here.",
            ),
            Self::TooManyApprovals => (
                "too_many_approvals",
                StatusCode::TOO_MANY_REQUESTS,
                Focus::None,
                "You have approved as many connections as you may within an hour; nothing was connected. Please try again later.",
            ),
            Self::TooManyConnections => (
                "too_many_connections",
                StatusCode::OK,
                Focus::None,
                "You have 50 connections of this application, and have used all of them within seven days: nothing was \
                 connected. End one of them first, in your connections.",
            ),
            Self::ReplacesAnother => (
                "replaces_another",
                StatusCode::OK,
                Focus::None,
                "You have 50 connections of this application, and there can be no more: nothing was connected yet.",
            ),
            Self::Unavailable => (
                "unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                Focus::None,
                "That did not work just now; nothing was connected. Please try again in a moment.",
            ),
        }
    }

    /// The error after a call to a service that came to nothing.
    pub(crate) const fn of_upstream(error: &UpstreamError) -> Self {
        match error.kind {
            UpstreamErrorKind::TooManyRequests => Self::TooManyRequests,
            UpstreamErrorKind::Failed | UpstreamErrorKind::TimedOut | UpstreamErrorKind::RateLimited => {
                Self::Unavailable
            }
        }
    }

    /// For the audit.
    pub(crate) const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// Of the page that shows the error.
    pub(crate) const fn status(self) -> StatusCode {
        self.row().1
    }

    pub(crate) const fn focus(self) -> Focus {
        self.row().2
    }

    /// For the person.
    pub(crate) const fn sentence(self) -> &'static str {
        self.row().3
    }
}
