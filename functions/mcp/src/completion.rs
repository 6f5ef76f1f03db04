//! Completion: what could be put for an argument of a prompt or a variable of a resource's template.

use rmcp::model::{CompleteRequestParams, CompletionInfo, Reference};
use shared::oauth::scope::Scope;
use shared::store::workspace::Name;

use crate::resources::Kind;
use crate::server::Unserved;
use crate::tools::Work;

/// What is to be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Completing {
    /// An argument of a prompt. Nobody keeps what people give for it, so there is nothing to suggest.
    Argument {
        /// Of which.
        prompt: Name,
        /// Its name.
        argument: String,
    },
    /// The variable of a template.
    Variable {
        /// Of which.
        kind: Kind,
        /// What was typed so far.
        typed: String,
    },
}

impl Completing {
    /// What a request names; `None` for what we do not have.
    pub(crate) fn of(CompleteRequestParams { r#ref, argument, .. }: CompleteRequestParams) -> Option<Self> {
        match r#ref {
            Reference::Prompt(prompt) => {
                Some(Self::Argument { prompt: Name::parse(&prompt.name)?, argument: argument.name })
            }
            Reference::Resource(template) => {
                Some(Self::Variable { kind: Kind::of_template(&template.uri, &argument.name)?, typed: argument.value })
            }
            _ => None,
        }
    }

    /// What it needs: what is suggested could be read.
    pub(crate) const fn scope(&self) -> Scope {
        match self {
            Self::Argument { .. } => Scope::SkillsRead,
            Self::Variable { kind, .. } => kind.scope(),
        }
    }
}

/// What begins with what was typed, at most a hundred.
pub(crate) async fn complete(work: &Work<'_>, completing: &Completing) -> Result<CompletionInfo, Unserved> {
    let (names, more) = match completing {
        Completing::Argument { prompt, argument } => {
            let skill = work.workspace.skill(prompt).await?.ok_or(Unserved::Params("There is no such prompt"))?;
            if !skill.arguments.iter().any(|known| known.name.as_str() == argument) {
                return Err(Unserved::Params("The prompt has no such argument"));
            }
            (Vec::new(), false)
        }
        Completing::Variable { kind: Kind::Skill, typed } => work.workspace.skill_names(typed).await?,
        Completing::Variable { kind: Kind::Document, typed } => work.workspace.document_ids(typed).await?,
    };
    let mut suggested = CompletionInfo::default();
    suggested.total = if more { None } else { u32::try_from(names.len()).ok() };
    suggested.has_more = Some(more);
    suggested.values = names.iter().map(Name::to_string).collect();
    Ok(suggested)
}
