//! Who may reach a server: addresses and networks, ports and ranges, public keys, each list in one text.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The kinds of public keys that sshd takes.
const KEY_KINDS: [&str; 7] = [
    "ssh-rsa",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Addresses and networks of both families, joined by commas.
pub(super) fn check_addresses(text: &str) -> Result<(), String> {
    each(text.split(','), "address or network", |part| {
        let (address, length) = part.split_once('/').unwrap_or((part, "0"));
        let Ok(address) = address.parse::<IpAddr>() else { return false };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        digits(length, longest).is_some()
    })
}

/// Ports, and ranges with a colon, joined by commas.
pub(super) fn check_ports(text: &str) -> Result<(), String> {
    let port = |text: &str| digits(text, u16::MAX).filter(|port| *port > 0);
    each(text.split(','), "port or range", |part| match part.split_once(':') {
        None => port(part).is_some(),
        Some((first, last)) => {
            port(first).zip(port(last)).is_some_and(|(first, last)| first <= last)
        }
    })
}

/// Public keys, one a line. A key says its own kind once more in its bytes.
pub(super) fn check_keys(text: &str) -> Result<(), String> {
    let keys = text.lines().filter(|line| !line.trim().is_empty());
    if keys.clone().next().is_none() {
        return Err("holds no public key".to_owned());
    }
    each(keys, "public key", |line| {
        let mut words = line.split_whitespace();
        let (Some(kind), Some(key)) = (words.next(), words.next()) else { return false };
        let Ok(bytes) = BASE64_STANDARD.decode(key) else { return false };
        let mut named = u32::try_from(kind.len()).unwrap_or_default().to_be_bytes().to_vec();
        named.extend_from_slice(kind.as_bytes());
        KEY_KINDS.contains(&kind) && bytes.len() > named.len() && bytes.starts_with(&named)
    })
}

/// The first part that is wrong, by its number.
fn each<'a>(
    parts: impl Iterator<Item = &'a str>,
    what: &str,
    good: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let wrong = parts.zip(1..).find(|(part, _)| !good(part));
    wrong.map_or(Ok(()), |(_, number)| Err(format!("part {number} is no {what}")))
}

/// A decimal number in its one spelling.
fn digits(text: &str, most: u16) -> Option<u16> {
    text.parse::<u16>().ok().filter(|number| *number <= most && number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::{check_addresses, check_keys, check_ports};

    fn check(test: fn(&str) -> Result<(), String>, text: &str, expected: Option<&str>) {
        assert_eq!(test(text).err().as_deref(), expected, "{text:?}");
    }

    #[test]
    fn addresses() {
        check(check_addresses, "fec0:aaa:1:2::ff,192.168.0.0/24", None);
        check(check_addresses, "0.0.0.0/0,::/0,10.0.0.1/32,::1/128", None);
        let first = Some("part 1 is no address or network");
        for wrong in [
            "",
            "10.0.0",
            "10.0.0.1/33",
            "::/129",
            "10.0.0.1/",
            "10.0.0.1/08",
            "a.example",
            " 10.0.0.1",
        ] {
            check(check_addresses, wrong, first);
        }
        check(check_addresses, "10.0.0.1,", Some("part 2 is no address or network"));
    }

    #[test]
    fn ports() {
        check(check_ports, "80,443,12000:12010", None);
        check(check_ports, "1:65535", None);
        check(check_ports, "80:80", None);
        let first = Some("part 1 is no port or range");
        for wrong in
            ["", "0", "65536", "080", "+80", "20:10", "1:2:3", ":80", "80:", "http", "80-90"]
        {
            check(check_ports, wrong, first);
        }
        check(check_ports, "80, 443", Some("part 2 is no port or range"));
    }

    #[test]
    fn keys() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@example";
        check(check_keys, key, None);
        check(check_keys, &format!("{key}\n\n{key}\n"), None);
        let first = Some("part 1 is no public key");
        let other_kind = key.replace("ssh-ed25519", "ssh-rsa");
        for wrong in
            ["ssh-rsa ......", "ssh-ed25519", "AAAA", "ssh-dss AAAAB3NzaC1kc3M=", &other_kind]
        {
            check(check_keys, wrong, first);
        }
        check(check_keys, &format!("{key}\nnone"), Some("part 2 is no public key"));
        check(check_keys, " \n", Some("holds no public key"));
    }
}
