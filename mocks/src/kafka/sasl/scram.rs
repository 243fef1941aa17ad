//! SCRAM (RFC 5802, 7677): a proof of knowing a password that tells neither side's secret.
//!
//! As in Kafka there is no channel binding, and what a client says of it is not looked at. Nonces and salts come
//! from the cluster's seeded stream: this authenticates clients of a test, and keeps no secret from anybody.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256, Sha512};

use super::SaslMechanism;
use crate::kafka::scram::ScramCredential;

/// Kafka's default, and least.
const ITERATIONS: i32 = 4096;

/// What a server checks a proof with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    mechanism: SaslMechanism,
    salt: Bytes,
    iterations: i32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Credential {
    /// From what administrators set.
    pub fn of(mechanism: SaslMechanism, set: &ScramCredential) -> Self {
        let stored_key = hash(mechanism, &mac(mechanism, &set.salted_password, b"Client Key"));
        let server_key = mac(mechanism, &set.salted_password, b"Server Key");
        Self { mechanism, salt: set.salt.clone(), iterations: set.iterations, stored_key, server_key }
    }
}

/// What an administrator would set for this password.
pub(crate) fn salt_password(mechanism: SaslMechanism, password: &str, salt: Bytes) -> ScramCredential {
    let salted_password = salted(mechanism, password.as_bytes(), &salt, ITERATIONS).into();
    ScramCredential { iterations: ITERATIONS, salt, salted_password }
}

/// The client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub user: String,
    /// The user it wants to act as.
    pub acts_as: Option<String>,
    nonce: String,
    /// What is proven later.
    bare: String,
}

impl First {
    /// Reads `n,,n=user,r=nonce`; nothing if it is none that Kafka takes.
    pub fn read(message: &[u8]) -> Option<Self> {
        let rest = std::str::from_utf8(message).ok()?.strip_prefix("n,")?;
        let (acts_as, bare) = rest.split_once(',')?;
        let acts_as = match acts_as {
            "" => None,
            text => Some(name(text.strip_prefix("a=")?)?),
        };
        let mut fields = bare.split(',').peekable();
        // Reserved for what a server must know; Kafka passes over it.
        fields.next_if(|field| field.starts_with("m="));
        let user = name(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        let is_printable = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        // Authentication by delegation token is not there.
        let ends_well = fields.all(|field| field.contains('=') && field != "tokenauth=true");
        (is_printable(nonce) && ends_well).then(|| Self {
            user,
            acts_as,
            nonce: nonce.to_owned(),
            bare: bare.to_owned(),
        })
    }

    /// The server's first message, and the state in which it waits for the client's last.
    pub fn answer(self, credential: Credential, nonce: &str) -> (Server, Vec<u8>) {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = STANDARD.encode(&credential.salt);
        let answer = format!("r={nonce},s={salt},i={}", credential.iterations);
        let said = format!("{},{answer},", self.bare);
        (Server { user: self.user, credential, nonce, said }, answer.into_bytes())
    }
}

/// A server that has sent its first message.
#[derive(Debug)]
pub(crate) struct Server {
    user: String,
    credential: Credential,
    nonce: String,
    /// What both have said so far.
    said: String,
}

impl Server {
    /// The user, and the server's last message; nothing if the client has not proven who it is.
    pub fn finish(self, message: &[u8]) -> Option<(String, Vec<u8>)> {
        let Credential { mechanism, stored_key, server_key, .. } = self.credential;
        let (bare, proof) = std::str::from_utf8(message).ok()?.rsplit_once(",p=")?;
        let mut fields = bare.split(',');
        STANDARD.decode(fields.next()?.strip_prefix("c=")?).ok()?;
        if fields.next()?.strip_prefix("r=")? != self.nonce {
            return None;
        }
        let said = format!("{}{bare}", self.said);
        let signature = mac(mechanism, &stored_key, said.as_bytes());
        let proof = STANDARD.decode(proof).ok().filter(|proof| proof.len() == signature.len())?;
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if hash(mechanism, &client_key) != stored_key {
            return None;
        }
        let signature = STANDARD.encode(mac(mechanism, &server_key, said.as_bytes()));
        Some((self.user, format!("v={signature}").into_bytes()))
    }
}

/// A random text for nonces and salts: as many letters and digits as Kafka takes.
pub(crate) fn text(random: &mut ChaCha8Rng) -> String {
    let digit = |_| char::from_digit(random.random_range(0..36), 36).unwrap_or('0');
    (0..25).map(digit).collect()
}

/// A name in which commas and equals signs are written as `=2C` and `=3D`.
fn name(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = part.split_at_checked(2)?;
        name.push(match sign {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}

fn hash(mechanism: SaslMechanism, bytes: &[u8]) -> Vec<u8> {
    match mechanism {
        SaslMechanism::ScramSha512 => Sha512::digest(bytes).to_vec(),
        _ => Sha256::digest(bytes).to_vec(),
    }
}

fn mac(mechanism: SaslMechanism, key: &[u8], text: &[u8]) -> Vec<u8> {
    match mechanism {
        SaslMechanism::ScramSha512 => {
            keyed::<Hmac<Sha512>>(key).chain_update(text).finalize().into_bytes().to_vec()
        }
        _ => keyed::<Hmac<Sha256>>(key).chain_update(text).finalize().into_bytes().to_vec(),
    }
}

/// The password with its salt, so often hashed that guessing is slow.
fn salted(mechanism: SaslMechanism, password: &[u8], salt: &[u8], iterations: i32) -> Vec<u8> {
    fn iterate<M: Mac + Clone>(keyed: &M, salt: &[u8], iterations: i32) -> Vec<u8> {
        let sign = |parts: [&[u8]; 2]| {
            let signed = parts.iter().fold(keyed.clone(), |keyed, part| keyed.chain_update(part));
            signed.finalize().into_bytes()
        };
        let mut last = sign([salt, &1_u32.to_be_bytes()]);
        let mut sum = last.to_vec();
        for _ in 1..iterations {
            last = sign([&last, &[]]);
            sum.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
        }
        sum
    }
    match mechanism {
        SaslMechanism::ScramSha512 => iterate(&keyed::<Hmac<Sha512>>(password), salt, iterations),
        _ => iterate(&keyed::<Hmac<Sha256>>(password), salt, iterations),
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A client's last message: `bare` is its first, `first` the server's.
    pub fn proof(mechanism: SaslMechanism, password: &str, bare: &str, first: &[u8]) -> Vec<u8> {
        let first = std::str::from_utf8(first).expect("a text");
        let fields: Vec<&str> = first.split(',').map(|field| &field[2..]).collect();
        let salt = STANDARD.decode(fields[1]).expect("base64");
        let salted = salted(mechanism, password.as_bytes(), &salt, fields[2].parse().expect("a number"));
        let last = format!("c=biws,r={}", fields[0]);
        let client_key = mac(mechanism, &salted, b"Client Key");
        let said = format!("{bare},{first},{last}");
        let signature = mac(mechanism, &hash(mechanism, &client_key), said.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        format!("{last},p={}", STANDARD.encode(proof)).into_bytes()
    }

    #[test]
    fn the_exchange_of_rfc_7677_comes_out_as_it_is_written_there() {
        let first = First::read(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").expect("a message");
        assert_eq!(first.user, "user");
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let mechanism = SaslMechanism::ScramSha256;
        let credential = Credential::of(mechanism, &salt_password(mechanism, "pencil", salt.into()));
        let (server, answer) = first.answer(credential, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        assert_eq!(
            String::from_utf8_lossy(&answer),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let (user, answer) = server.finish(last).expect("a proof");
        assert_eq!(user, "user");
        assert_eq!(answer, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn first_messages_are_taken_and_refused_as_kafka_does() {
        for taken in
            ["n,a=alice,n=alice,r=abc", "n,,n=alice,r=abc,x=y", "n,,m=x,n=alice,r=abc", "n,,n=al=2Cice,r=a"]
        {
            assert!(First::read(taken.as_bytes()).is_some(), "{taken}");
        }
        assert_eq!(name("a=2Cb=3D"), Some("a,b=".to_owned()));
        for refused in [
            "hello",
            "y,,n=alice,r=abc",
            "p=tls-unique,,n=alice,r=abc",
            "n,,n=,r=abc",
            "n,,n=alice,r=",
            "n,,n=alice,r=abc,tokenauth=true",
            "n,,n=al=41ice,r=abc",
            "n,,n=al=2",
        ] {
            assert_eq!(First::read(refused.as_bytes()), None, "{refused}");
        }
    }
}
