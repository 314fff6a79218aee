//! Distinguished names as text (RFC 4514), in the form that OpenSSL calls RFC2253: no two names look the same, and nothing
//! in a value can look like another attribute.

use std::fmt::Write as _;

use x509_parser::asn1_rs::ToDer as _;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

/// Those with a name of their own; all others are shown by number.
const NAMED: [(&str, &str); 14] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The last relative name first.
pub(super) fn show(name: &X509Name<'_>) -> String {
    let relative: Vec<&RelativeDistinguishedName<'_>> = name.iter_rdn().collect();
    let shown = relative.iter().rev().map(|names| {
        let attributes: Vec<String> = names.iter().map(attribute).collect();
        attributes.join("+")
    });
    shown.collect::<Vec<String>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let named = NAMED.iter().find(|(known, _)| *known == number);
    match (named, attribute.as_str()) {
        (Some((_, name)), Ok(value)) => format!("{name}={}", escape(value)),
        (named, _) => {
            let name = named.map_or(&*number, |(_, name)| name);
            let der = attribute.attr_value().to_der_vec().unwrap_or_default();
            format!("{name}=#{}", hexadecimal(&der))
        }
    }
}

/// RFC 4514 section 2.4; what is no visible ASCII is escaped as well.
fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        let at_edge = (at == 0 && b" #".contains(&byte)) || (at == last && byte == b' ');
        if at_edge || b"\"+,;<>\\".contains(&byte) {
            text.push('\\');
            text.push(char::from(byte));
        } else if (b' '..=b'~').contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into memory does not fail.
            let _ = write!(text, "\\{byte:02X}");
        }
    }
    text
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DnType, DnValue, KeyPair};
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;

    fn shown(entries: &[(DnType, DnValue)]) -> String {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.custom_extensions = Vec::<CustomExtension>::new();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in entries {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
        show(parsed.subject())
    }

    #[test]
    fn a_value_cannot_look_like_an_attribute() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        let name = [
            (DnType::OrganizationName, text("Shop, Inc.")),
            (DnType::CommonName, text(" eve,O=Bank+UID=root\r\nX: y ")),
        ];
        assert_eq!(
            shown(&name),
            r"CN=\ eve\,O=Bank\+UID=root\0D\0AX: y\ ,O=Shop\, Inc."
        );
    }

    #[test]
    fn what_is_no_ascii_or_has_no_name_is_hexadecimal() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        let name = [
            (DnType::CommonName, text("Zoë")),
            (DnType::CustomDnType(vec![1, 2, 3]), text("a")),
        ];
        assert_eq!(shown(&name), r"1.2.3=#0c0161,CN=Zo\C3\AB");
    }
}
