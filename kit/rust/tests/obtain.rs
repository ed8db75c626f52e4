//! The whole exchange with servers that this test makes: none of them stops another.
use latchkey_client::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// A server whose answers `answer` writes, given the connection and the path; its address.
fn serving(answer: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            std::thread::spawn(move || {
                let path = path_of_request(&mut stream);
                answer(&mut stream, &path);
            });
        }
    });
    url
}

/// Reads a whole request.
fn path_of_request(stream: &mut TcpStream) -> String {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut part).unwrap_or(0);
        request.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let size = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= size.parse().unwrap() {
                return text.split(' ').nth(1).unwrap().into();
            }
        }
        assert!(length > 0, "the request broke off");
    }
}

fn say(stream: &mut TcpStream, status: &str, body: &str) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes());
}

/// Gives challenges and refuses each key.
fn refuse(stream: &mut TcpStream, path: &str, account: [u8; 32]) {
    if path != "/challenge" {
        return say(stream, "403 Forbidden", r#"{"code":"MEASUREMENT_REFUSED","detail":"refused"}"#);
    }
    let (server, nonce, instance) = (to_hex(&account), to_hex(&[0; 32]), to_hex(&[0; 16]));
    let body = format!(r#"{{"server":"{server}","nonce":"{nonce}","instanceId":"{instance}","expiresAtMs":1}}"#);
    say(stream, "200 OK", &body);
}

fn ends(servers: &[Server]) -> Vec<String> {
    let wish = |server| Wish { server, slot_id: random(), recovery_token: None };
    let wishes: Vec<Wish> = servers.iter().map(wish).collect();
    let results = obtain(&[9; 32], Intent::Create, &wishes, |_| Ok(vec![1])).unwrap();
    let end = |result: Result<Grant, Error>| match result {
        Err(Error::Refused { code, .. }) => code,
        Err(Error::Unreachable(_)) => "unreachable".into(),
        other => format!("{other:?}"),
    };
    results.into_iter().map(end).collect()
}

#[test]
fn all_are_asked_at_once() {
    // Nobody is answered before all have asked: a client that asks one after the other never gets an answer.
    let barriers = Arc::new([Barrier::new(7), Barrier::new(7)]);
    let servers: Vec<Server> = (0..7)
        .map(|number| {
            let barriers = barriers.clone();
            let url = serving(move |stream, path| {
                barriers[usize::from(path != "/challenge")].wait();
                refuse(stream, path, [number; 32]);
            });
            Server::new(&url, [number; 32], [0; 32])
        })
        .collect();
    assert_eq!(ends(&servers), ["MEASUREMENT_REFUSED"; 7]);
}

#[test]
fn silent_servers_stop_nobody() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let servers: Vec<Server> = (0..7)
        .map(|number| {
            let url = match number {
                3..=5 => format!("http://{}", silent.local_addr().unwrap()),
                _ => serving(move |stream, path| refuse(stream, path, [number; 32])),
            };
            Server::with_timeout(&url, [number; 32], [0; 32], Duration::from_millis(1_500))
        })
        .collect();
    let ends = ends(&servers);
    let (refused, hung) = ("MEASUREMENT_REFUSED", "unreachable");
    assert_eq!(ends, [refused, refused, refused, hung, hung, hung, refused]);
}

#[test]
fn a_server_is_asked_once() {
    let server = |number: u8| Server::new("http://127.0.0.1:1", [number; 32], [0; 32]);
    let several: Vec<Server> = (0..17).map(server).collect();
    for wrong in [&[server(1), server(1)][..], &[], &several] {
        let wishes: Vec<Wish> =
            wrong.iter().map(|server| Wish { server, slot_id: NO_SLOT, recovery_token: None }).collect();
        let error = obtain(&[9; 32], Intent::GetOrCreate, &wishes, |_| Ok(vec![])).err();
        assert!(matches!(error, Some(Error::Protocol(_))), "{error:?}");
    }
}
