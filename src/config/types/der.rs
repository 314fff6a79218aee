//! Encoded ASN.1.

use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// DER (X.690). It crosses to workers as one piece, not byte by byte as a `Vec` would; and `Debug` does not show it, as it
/// may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Der(Vec<u8>);

impl Deref for Der {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Der {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<Der> for Vec<u8> {
    fn from(der: Der) -> Self {
        der.0
    }
}

impl fmt::Debug for Der {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Der({} bytes)", self.len())
    }
}

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Octets)
    }
}

struct Octets;

impl Visitor<'_> for Octets {
    type Value = Der;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Der, E> {
        Ok(Der(bytes.to_vec()))
    }
}
