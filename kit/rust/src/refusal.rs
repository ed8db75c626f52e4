//! Problem documents (RFC 9457): what a server or an agent says when it refuses.
use crate::Error;
use serde_json::Value;
use std::time::Duration;

const MAX_SHOWN: usize = 300;
const LONGEST: Duration = Duration::from_secs(86_400);

/// The refusal that an answer is. `retry_after` is the header field of that name.
pub(crate) fn refusal(status: u16, problem: &Value, retry_after: Option<&str>) -> Error {
    let code = problem.get("code").and_then(Value::as_str).filter(|code| is_code(code));
    let Some(code) = code else {
        return Error::Protocol(format!("status {status} without a problem document"));
    };
    let milliseconds = problem.get("retryAfterMs").filter(|value| value.is_number()).map(Value::to_string);
    Error::Refused {
        status,
        code: code.into(),
        detail: shown(problem, "detail").unwrap_or_default(),
        field: shown(problem, "field"),
        hint: shown(problem, "hint"),
        retry_after: milliseconds
            .and_then(|text| wait(&text, Duration::from_millis))
            .or_else(|| wait(retry_after?, Duration::from_secs)),
    }
}

fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

/// Text of another party, fit for a log.
fn shown(problem: &Value, name: &str) -> Option<String> {
    let letters = problem.get(name)?.as_str()?.chars().take(MAX_SHOWN);
    Some(letters.map(|letter| if letter.is_control() { ' ' } else { letter }).collect())
}

/// A whole number of units; not the date that Retry-After may be.
fn wait(text: &str, unit: fn(u64) -> Duration) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit());
    is_number.then(|| text.parse::<u64>().map_or(LONGEST, unit).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refusals_say_why_and_until_when() {
        let told = json!({ "code": "RATE_LIMITED", "detail": "too many", "field": "quote", "hint": "wait" });
        let Error::Refused { status, code, detail, field, hint, retry_after } = refusal(429, &told, Some("7")) else {
            panic!("not a refusal");
        };
        assert_eq!((status, code.as_str(), detail.as_str()), (429, "RATE_LIMITED", "too many"));
        assert_eq!((field.as_deref(), hint.as_deref()), (Some("quote"), Some("wait")));
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn refusals_are_bounded() {
        let long = format!("\u{1b}[2J\n{}", "é".repeat(1000));
        let Error::Refused { detail, field, hint, .. } =
            refusal(500, &json!({ "code": "A", "detail": long, "field": 7, "hint": ["h"] }), None)
        else {
            panic!("not a refusal");
        };
        assert!(detail.starts_with(" [2J é") && detail.chars().count() == MAX_SHOWN);
        assert_eq!((field, hint), (None, None));
        for code in [json!(""), json!("a b"), json!("A".repeat(65)), json!(7), json!(null), json!(["A"])] {
            assert!(matches!(refusal(500, &json!({ "code": code }), None), Error::Protocol(_)), "{code}");
        }
        assert!(matches!(refusal(500, &json!([]), None), Error::Protocol(_)));
    }

    #[test]
    fn waits_are_bounded() {
        fn after(problem: &Value, header: Option<&str>) -> Option<Duration> {
            match refusal(503, problem, header) {
                Error::Refused { retry_after, .. } => retry_after,
                other => panic!("{other}"),
            }
        }
        let plain = json!({ "code": "A" });
        assert_eq!(after(&json!({ "code": "A", "retryAfterMs": 1500 }), Some("7")), Some(Duration::from_millis(1500)));
        for header in ["-1", "+1", "tomorrow", "1e9", ""] {
            assert_eq!(after(&plain, Some(header)), None, "{header}");
        }
        assert_eq!(after(&plain, Some(&"9".repeat(50))), Some(LONGEST));
        for value in [json!(-1), json!(true), json!("1"), json!(1.5)] {
            assert_eq!(after(&json!({ "code": "A", "retryAfterMs": value }), None), None, "{value}");
        }
        assert_eq!(after(&json!({ "code": "A", "retryAfterMs": u64::MAX }), None), Some(LONGEST));
    }
}
