//! The client of the agent: against answers that this test makes, and against a running agent where `LATCHKEY_AGENT` names
//! its socket.
#![cfg(unix)]
use latchkey_client::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

const GOOD: &str = r#"{"id":1,"timestamp":2,"fragment":"AQID"}"#;

/// Answers one request with these bytes. The thread gives the request.
fn answering(name: &str, answer: Vec<u8>) -> (Agent, JoinHandle<String>) {
    let socket: PathBuf = std::env::temp_dir().join(format!("latchkey-{}-{name}.sock", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let agent = Agent::new(&socket, Duration::from_secs(20));
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut part = [0; 4096];
        while !ended(&request) {
            let length = stream.read(&mut part).unwrap();
            request.extend_from_slice(&part[..length]);
        }
        let _ = stream.write_all(&answer);
        std::fs::remove_file(&socket).unwrap();
        String::from_utf8(request).unwrap()
    });
    (agent, serving)
}

fn ended(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    body.len() == length.parse::<usize>().unwrap()
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// What becomes of an answer to `retrieve_fragment`.
fn fragment_of(name: &str, answer: Vec<u8>) -> Result<Vec<u8>, Error> {
    let (agent, serving) = answering(name, answer);
    let result = agent.retrieve_fragment(1).map(|fragment| fragment.bytes.to_vec());
    serving.join().unwrap();
    result
}

#[test]
fn names_are_one_part_of_the_path() {
    let (agent, serving) = answering("names", http("200 OK", r#"{"replaced":false}"#));
    agent.put("names", "a/b ?%\r\né", b"share").unwrap();
    let request = serving.join().unwrap();
    assert!(request.starts_with("PUT /kv/names/a%2Fb%20%3F%25%0D%0A%C3%A9 HTTP/1.0\r\n"), "{request}");
    assert!(request.ends_with(r#"{"value":"c2hhcmU="}"#), "{request}");
}

#[test]
fn names_that_change_the_path_are_not_sent() {
    // Nobody listens there, so an attempt to send is another error.
    let agent = Agent::new("/nonexistent/agent.sock", Duration::from_secs(1));
    for name in ["", ".", ".."] {
        let refused = [
            agent.create_namespace(name).err(),
            agent.put(name, "a", b"").err(),
            agent.put("names", name, b"").err(),
            agent.get(name, "a").err(),
            agent.get("names", name).err(),
            agent.delete(name, "a").err(),
            agent.delete("names", name).err(),
        ];
        for error in refused {
            assert!(matches!(&error, Some(Error::InvalidName(found)) if found == name), "{name:?}: {error:?}");
        }
    }
}

#[test]
fn answers() {
    assert_eq!(fragment_of("good", http("200 OK", GOOD)).unwrap(), [1, 2, 3]);
    let without_length = format!("HTTP/1.0 200 OK\r\n\r\n{GOOD}").into_bytes();
    assert_eq!(fragment_of("without-length", without_length).unwrap(), [1, 2, 3]);
    let refused = fragment_of("refused", http("404 Not Found", r#"{"code":"RITUAL_NOT_FOUND"}"#));
    assert!(matches!(refused, Err(Error::Refused { status: 404, code, .. }) if code == "RITUAL_NOT_FOUND"));
}

#[test]
fn what_is_no_answer() {
    let no_protocol = [
        ("empty", vec![]),
        ("text", b"hello".to_vec()),
        ("other-protocol", b"SSH-2.0 200\r\n\r\n{}".to_vec()),
        ("no-json", http("200 OK", "hello")),
        ("no-object", http("200 OK", "[]")),
        ("no-fragment", http("200 OK", r#"{"id":1,"timestamp":2}"#)),
        ("other-base64", http("200 OK", &GOOD.replace("AQID", "AQI"))),
        ("no-time", http("200 OK", &GOOD.replace(":2", ":-2"))),
        ("no-problem", http("500 Internal Server Error", "{}")),
        ("chunked", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec()),
        ("too-large", [http("200 OK", GOOD), vec![b' '; 24 * 1024 * 1024]].concat()),
    ];
    for (name, answer) in no_protocol {
        let error = fragment_of(name, answer).expect_err(name);
        assert!(matches!(error, Error::Protocol(_)), "{name}: {error}");
        assert!(!error.to_string().contains("AQI"), "{name} shows a fragment");
    }
    let mut cut = http("200 OK", &format!("{GOOD}  "));
    cut.truncate(cut.len() - 1);
    assert!(matches!(fragment_of("cut", cut), Err(Error::Unreachable(_))));
    let none = Agent::new("/nonexistent/agent.sock", Duration::from_secs(1));
    assert!(matches!(none.status(), Err(Error::Unreachable(_))));
}

#[test]
fn an_answer_that_does_not_end_is_given_up() {
    let socket = std::env::temp_dir().join(format!("latchkey-{}-slow.sock", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        // Something always comes, so that a bound on the silence alone would never end.
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let result = Agent::new(&socket, Duration::from_millis(300)).status();
    assert!(matches!(result, Err(Error::Unreachable(_))));
    std::fs::remove_file(&socket).unwrap();
}

/// What an exchange ends with, after at most ten times its timeout.
fn end_of(agent: Agent, value: Vec<u8>) -> Result<(), Error> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(agent.put("names", "name", &value)));
    receiver.recv_timeout(Duration::from_secs(20)).expect("the exchange does not end")
}

#[test]
fn an_agent_whose_queue_is_full_is_given_up() {
    let socket = std::env::temp_dir().join(format!("latchkey-{}-full.sock", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    // Connections that nobody takes, until no more fit. They wait there also when the other end is closed.
    let (sender, receiver) = std::sync::mpsc::channel();
    let path = socket.clone();
    std::thread::spawn(move || while sender.send(std::os::unix::net::UnixStream::connect(&path).map(drop)).is_ok() {});
    while let Ok(one) = receiver.recv_timeout(Duration::from_secs(5)) {
        one.unwrap();
    }
    for _ in 0..20 {
        let result = end_of(Agent::new(&socket, Duration::from_millis(100)), vec![]);
        assert!(matches!(result, Err(Error::Unreachable(_))), "{result:?}");
    }
    let agent = std::sync::Arc::new(Agent::new(&socket, Duration::from_millis(50)));
    let refused = (0..20).filter_map(|_| agent.status().err()).filter(|error| error.to_string().contains("takes no"));
    assert_eq!(refused.count(), 12, "threads that wait are bounded");
    drop(listener);
    std::fs::remove_file(&socket).unwrap();
}

#[test]
fn an_agent_that_reads_slowly_is_given_up() {
    let socket = std::env::temp_dir().join(format!("latchkey-{}-reads.sock", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut part = vec![0; 64 * 1024];
        // Something is always taken, so that a bound on one write alone would not end for minutes.
        while stream.read(&mut part).is_ok_and(|length| length > 0) {
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    let result = end_of(Agent::new(&socket, Duration::from_secs(1)), vec![7; 12_000_000]);
    assert!(matches!(result, Err(Error::Unreachable(_))), "{result:?}");
    std::fs::remove_file(&socket).unwrap();
}

#[test]
fn an_answer_before_the_request_is_read_is_heard() {
    // One value that the socket holds, and one that it does not: the agent closes while it is being sent.
    for (name, size) in [("early-small", 20_000), ("early-large", 8_000_000)] {
        let socket = std::env::temp_dir().join(format!("latchkey-{}-{name}.sock", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            // The second one has no length, so that nobody knows whether it is whole.
            for answer in [http("413 Content Too Large", r#"{"code":"BODY_TOO_LARGE"}"#), b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec(), vec![]] {
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0]).unwrap();
                stream.write_all(&answer).unwrap();
            }
        });
        let agent = Agent::new(&socket, Duration::from_secs(20));
        let end = agent.put("names", "a", &vec![7; size]);
        assert!(matches!(&end, Err(Error::Refused { status: 413, code, .. }) if code == "BODY_TOO_LARGE"), "{name}: {end:?}");
        for _ in 0..2 {
            let end = agent.put("names", "a", &vec![7; size]);
            assert!(matches!(end, Err(Error::Unreachable(_))), "{name}: {end:?}");
        }
        std::fs::remove_file(&socket).unwrap();
    }
}

#[test]
fn a_running_agent() {
    let Ok(socket) = std::env::var("LATCHKEY_AGENT") else {
        return println!("LATCHKEY_AGENT names no socket");
    };
    let agent = Agent::new(socket, Duration::from_secs(60));
    let code = |error: Error| match error {
        Error::Refused { code, .. } => code,
        other => panic!("{other}"),
    };
    agent.create_namespace("rust").unwrap();
    let large: Vec<u8> = (0..2_000_000_u32).map(|n| n as u8).collect();
    agent.put("rust", "a/b", &large).unwrap();
    assert_eq!(*agent.get("rust", "a/b").unwrap(), large);
    agent.delete("rust", "a/b").unwrap();
    assert_eq!(code(agent.get("rust", "a/b").expect_err("deleted")), "STORE_NAME_MISSING");
    assert!(agent.status().unwrap()["state"].is_string());

    // The ritual that the test has made active: number 7001, for the validator 0xA.
    assert!(agent.store_fragment(7001, 13_234_134, &[1, 0, 1]).unwrap());
    assert!(!agent.store_fragment(7001, 13_234_134, &[1, 0, 1]).unwrap());
    let inputs = agent.decryption_inputs(7001, "0xA").unwrap();
    assert_eq!((&inputs.fragment.bytes[..], inputs.fragment.timestamp), (&[1, 0, 1][..], 13_234_134));
    assert_eq!((inputs.dkg_size, inputs.threshold, inputs.position), (1, 1, 0));
    assert_eq!((inputs.aggregated_transcript, inputs.public_key), (b"t".to_vec(), b"p".to_vec()));
    assert_eq!(inputs.validators, [("0xA".to_owned(), b"k".to_vec())]);
    assert_eq!(code(agent.decryption_inputs(7001, "0xB").err().unwrap()), "RITUAL_NOT_PARTICIPANT");
    assert_eq!(code(agent.decryption_inputs(7999, "0xA").err().unwrap()), "RITUAL_NOT_ACTIVE");
    agent.delete_fragment(7001).unwrap();
    assert_eq!(code(agent.retrieve_fragment(7001).err().unwrap()), "RITUAL_NOT_FOUND");
}
