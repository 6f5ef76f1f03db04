//! The tools: ours, one file per kind of thing, and those that the tenant has registered.

mod arguments;
pub(crate) mod built_in;
pub(crate) mod call;
pub(crate) mod catalog;
mod chat;
mod documents;
mod entities;
mod entity_search;
pub(crate) mod list;
mod page;
mod page_size;
pub(crate) mod registered;
mod schema;
pub(crate) mod security_schemes;
mod skills;
mod spending;
pub(crate) mod tool_context;
pub(crate) mod tool_error;
pub(crate) mod tool_result;
mod tools_page;
mod views;
