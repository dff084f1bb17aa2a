//! Words as a shell takes them.

/// A word as a shell takes it.
pub fn quoted(word: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_cut_them() {
        assert_eq!(quoted("a/b=1,c".into()), "a/b=1,c");
        assert_eq!(quoted("rlnet/*".into()), "'rlnet/*'");
        assert_eq!(quoted("it's".into()), "'it'\\''s'");
    }
}
