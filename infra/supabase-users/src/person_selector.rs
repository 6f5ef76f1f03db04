//! A person as an operator names them.

use shared::oauth::tenant::PersonId;

/// By which of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonSelector {
    /// The id at the sign-in service.
    Id(PersonId),
    /// The e-mail address, in lower case.
    Email(String),
}

impl PersonSelector {
    /// From what was typed.
    ///
    /// # Errors
    /// When it is neither; the text says what would be.
    pub fn parse(text: &str) -> Result<Self, String> {
        const RULE: &str = "a person is named by e-mail address, or by their id at the sign-in service, a UUID such as \
                            5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01";
        let text = text.trim().to_lowercase();
        if let Some(id) = PersonId::parse(&text) {
            return Ok(Self::Id(id));
        }
        let fits = |(name, host): (&str, &str)| !name.is_empty() && !host.is_empty() && !host.contains('@');
        let is_email = !text.contains(char::is_whitespace) && text.rsplit_once('@').is_some_and(fits);
        if is_email { Ok(Self::Email(text)) } else { Err(RULE.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_an_id_or_an_address() {
        let id = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01";
        for text in [id.to_owned(), id.to_uppercase()] {
            assert_eq!(PersonSelector::parse(&text), Ok(PersonSelector::Id(PersonId::parse(id).unwrap())));
        }
        let email = PersonSelector::Email("ana@example.com".to_owned());
        assert_eq!(PersonSelector::parse(" Ana@Example.com"), Ok(email));
        for text in ["", "ana", "@example.com", "ana@", "ana example@x.org", "5c1f6b0a"] {
            assert!(PersonSelector::parse(text).is_err(), "{text}");
        }
    }
}
