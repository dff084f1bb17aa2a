//! What libtorch's long error texts say, in a line or two.

/// The mark that TorchScript's interpreter sets below the operation that failed.
const HERE: &str = "<--- HERE";

/// libtorch's errors carry dozens of lines of C++ trace; the first says what is wrong.
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What went wrong. It is the first line, unless the error comes out of TorchScript's interpreter:
/// then the cause stands below a trace of the model's code, and that code's line is told with it.
pub fn cause(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let Some(here) = lines.iter().rposition(|line| line.contains(HERE)) else {
        return first_line(text).to_owned();
    };
    let below = &lines[here + 1..];
    let what = below.iter().find(|line| is_cause(line));
    let what = what.or_else(|| below.iter().rfind(|line| !line.trim().is_empty()));
    let what = what.copied().unwrap_or_else(|| first_line(text)).trim();
    let above = &lines[..here];
    let place = above.iter().map(|line| line.trim());
    let place = place.rev().find(|line| line.starts_with("File "));
    let code = above.last().map(|line| line.trim()).unwrap_or_default();
    match place {
        Some(place) => format!("{what}\n    {place}: {code}"),
        None => format!("{what}\n    in: {code}"),
    }
}

/// The cause in a panic's text, where an error is written as Rust writes a string.
pub fn panicked(text: &str) -> String {
    cause(&text.replace("\\n", "\n").replace("\\\"", "\""))
}

/// `RuntimeError: ...`, at the margin, where the trace's lines are not.
fn is_cause(line: &str) -> bool {
    let name = |character: char| character.is_alphanumeric() || "._".contains(character);
    line.split_once(": ")
        .is_some_and(|(kind, _)| !kind.is_empty() && kind.chars().all(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = r#"The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__.py", line 11, in forward
    net = self.net
    x1 = torch.slice(x, 1, 0, 1)
    y = (net).forward(x1, )
         ~~~~~~~~~~~~ <--- HERE
    return y
  File "code/__torch__/torch/nn/modules/conv.py", line 10, in forward
    weight = self.weight
    input = torch._convolution(x, weight, bias)
            ~~~~~~~~~~~~~~~~~~ <--- HERE
    return input

Traceback of TorchScript, original code (most recent call last):
/lib/torch/nn/modules/conv.py(549): _conv_forward
RuntimeError: Given groups=1, weight of size [16, 3, 3, 3], expected 3 channels: got 1 instead
Exception raised from nowhere
"#;

    #[test]
    fn the_cause_is_below_the_trace_and_the_models_line_above_its_mark() {
        assert_eq!(
            cause(FAILED),
            "RuntimeError: Given groups=1, weight of size [16, 3, 3, 3], expected 3 channels: got 1 instead\n    \
             File \"code/__torch__/torch/nn/modules/conv.py\", line 10, in forward: \
             input = torch._convolution(x, weight, bias)"
        );
        assert_eq!(cause("shapes differ\nException raised"), "shapes differ");
        assert_eq!(cause(""), "");
    }

    #[test]
    fn a_panic_with_an_escaped_trace_is_cut_as_well() {
        let error = tch::TchError::Torch("no \"add\" for Int\nat c10.cpp:3".into());
        let said = panicked(&format!("called `Result::unwrap()` on an `Err` value: {error:?}"));
        assert!(said.ends_with("Torch(\"no \"add\" for Int"), "{said}");
    }
}
