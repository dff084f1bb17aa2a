//! Why an object store did not do what it was asked to, in a line: what was done, with which URL, why, what
//! to do.
//!
//! object_store gives most causes as text only. This is the one place that reads it.

use super::error::StoreError;
use object_store::ObjectStoreScheme;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as StdError;

/// Why a store did not do what it was asked, and what may help. `doing` names the URL.
pub(super) fn explain(doing: &str, scheme: &ObjectStoreScheme, error: &object_store::Error) -> StoreError {
    let story = story(error);
    let last = story.last().cloned().unwrap_or_default();
    let whole = story.join(": ");
    let network = network(error) || whole.contains("status code: 5");
    let s3 = *scheme == ObjectStoreScheme::AmazonS3;
    let why = answer(&whole).unwrap_or_else(|| line(&last));
    let (refused, cure) = if whole.contains("NoSuchBucket") {
        (true, "make the bucket first, or correct the URL")
    } else if whole.contains("scheme is not allowed") {
        (true, "for an endpoint without TLS, set AWS_ALLOW_HTTP=true")
    } else if whole.contains("/latest/") {
        // The address of an EC2 machine's own credentials, which are asked for when there are no others.
        (
            true,
            "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    } else if network {
        let cure = if s3 {
            "check the network and the address (AWS_ENDPOINT_URL, AWS_REGION)"
        } else {
            "check the network and the URL"
        };
        (false, cure)
    } else if *scheme == ObjectStoreScheme::Local {
        (true, "choose a folder you may write to, with room")
    } else if s3 {
        (
            true,
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and what they are allowed to do there",
        )
    } else {
        (
            true,
            "check the URL, the credentials in the environment, and what they are allowed to do there",
        )
    };
    let text = format!("{doing}: {why}; {cure}");
    if refused {
        StoreError::Refused(text)
    } else {
        StoreError::NoAnswer(text)
    }
}

/// An error and its causes, the outermost first.
fn story(error: &object_store::Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut at: &dyn StdError = error;
    while let Some(cause) = at.source() {
        texts.push(cause.to_string());
        at = cause;
    }
    texts
}

/// Whether no answer came.
fn network(error: &object_store::Error) -> bool {
    let mut at: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = at {
        if let Some(http) = cause.downcast_ref::<HttpError>() {
            return http.kind() != HttpErrorKind::Decode;
        }
        at = cause.source();
    }
    false
}

/// What a store says of itself in the XML of an answer: its code and its message.
fn answer(text: &str) -> Option<String> {
    let between = |from: &str, to: &str| {
        let start = text.find(from)? + from.len();
        Some(text[start..start + text[start..].find(to)?].trim())
    };
    let code = between("<Code>", "</Code>")?;
    Some(match between("<Message>", "</Message>") {
        Some(message) => line(&format!("{message} ({code})")),
        None => code.to_owned(),
    })
}

/// The first line, not too long.
fn line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_answers_is_told_in_a_line() {
        let xml = "404: <?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code>\n<Message>No such \
                   bucket</Message></Error>";
        assert_eq!(answer(xml).as_deref(), Some("No such bucket (NoSuchBucket)"));
        assert_eq!(answer("connection refused"), None);
        let error = object_store::Error::NotFound {
            path: "a".into(),
            source: xml.into(),
        };
        let told = explain("listing s3://b", &ObjectStoreScheme::AmazonS3, &error);
        let StoreError::Refused(text) = told else {
            panic!("{told:?}")
        };
        assert!(text.contains("make the bucket first"), "{text}");
        assert!(!text.contains('<') && !text.contains('\n'), "{text}");
    }
}
