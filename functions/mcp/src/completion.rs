//! Completion: what could be put for an argument of a prompt or a variable of a resource's template.

use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference};
use shared::oauth::scope::Scope;
use shared::store::workspace::Name;

use crate::error::CallError;
use crate::resource_uri::ResourceKind;
use crate::tools::tool_context::ToolContext;

/// What is to be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CompletionTarget {
    /// An argument of a prompt. Nobody keeps what people give for it, so there is nothing to suggest.
    PromptArgument {
        /// Of which.
        prompt: Name,
        /// Its name.
        argument: String,
    },
    /// The variable of a template.
    TemplateVariable {
        /// Of which.
        kind: ResourceKind,
        /// What was typed so far.
        prefix: String,
    },
}

impl CompletionTarget {
    /// What a request names; `None` for what we do not have.
    pub(crate) fn of(CompleteRequestParams { r#ref, argument, .. }: CompleteRequestParams) -> Option<Self> {
        match r#ref {
            Reference::Prompt(prompt) => {
                Some(Self::PromptArgument { prompt: Name::parse(&prompt.name)?, argument: argument.name })
            }
            Reference::Resource(template) => Some(Self::TemplateVariable {
                kind: ResourceKind::of_template(&template.uri, &argument.name)?,
                prefix: argument.value,
            }),
            _ => None,
        }
    }

    /// What it needs: what is suggested could be read.
    pub(crate) const fn scope(&self) -> Scope {
        match self {
            Self::PromptArgument { .. } => Scope::SkillsRead,
            Self::TemplateVariable { kind, .. } => kind.scope(),
        }
    }
}

/// What begins with what was typed, at most a hundred.
pub(crate) async fn complete(
    context: &ToolContext<'_>,
    target: &CompletionTarget,
) -> Result<CompleteResult, CallError> {
    let (names, more) = match target {
        CompletionTarget::PromptArgument { prompt, argument } => {
            let skill = context.workspace.skill(prompt).await?.ok_or(CallError::PromptNotFound)?;
            if !skill.arguments.iter().any(|known| known.name.as_str() == argument) {
                return Err(CallError::PromptArgumentNotFound);
            }
            (Vec::new(), false)
        }
        CompletionTarget::TemplateVariable { kind: ResourceKind::Skill, prefix } => {
            context.workspace.skill_names(prefix).await?
        }
        CompletionTarget::TemplateVariable { kind: ResourceKind::Document, prefix } => {
            context.workspace.document_ids(prefix).await?
        }
    };
    let mut suggested = CompletionInfo::default();
    suggested.total = if more { None } else { u32::try_from(names.len()).ok() };
    suggested.has_more = Some(more);
    suggested.values = names.iter().map(Name::to_string).collect();
    Ok(CompleteResult::new(suggested))
}
