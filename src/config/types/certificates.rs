//! All certificates of a configuration.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{Certificate, CertificateIndex, PrivateKey, Stamp, Staple};

/// The certificates of a configuration, in the order of their indices: those that the master holds, or those that it
/// wrote for its workers, which decode one when it is asked for. Ten thousand cost a worker that is not asked nothing.
#[derive(Clone)]
pub struct Certificates(Kind);

#[derive(Clone)]
enum Kind {
    Held(Vec<Entry>),
    Written(Written),
}

/// A certificate, and how its files looked when it was read from them.
#[derive(Clone)]
pub struct Entry {
    pub certificate: Arc<Certificate>,
    /// Certificate and key. None: they have to be read again.
    pub files: Option<[Stamp; 2]>,
}

/// Certificates in memory that is never freed.
#[derive(Clone)]
struct Written {
    bytes: &'static [u8],
    /// Where the record of each ends.
    ends: Arc<[usize]>,
}

/// What is served of a certificate.
pub struct Material {
    /// DER, the leaf first; empty while BWS has not got the certificate yet.
    pub chain: Vec<Cow<'static, [u8]>>,
    pub key: PrivateKey,
    pub staple: Option<Staple>,
}

impl Certificates {
    /// Encodes them (postcard) in two parts, which [`Self::read`] and [`Self::lazy`] expect one after the other.
    pub fn write(&self) -> postcard::Result<[Vec<u8>; 2]> {
        /// Bytes of a certificate, roughly.
        const USUAL: usize = 2 << 10;
        let mut records = Vec::with_capacity(self.len() * USUAL);
        let mut ends = Vec::with_capacity(self.len());
        for certificate in self.iter() {
            records = postcard::to_extend(&*certificate, records)?;
            ends.push(records.len());
        }
        Ok([postcard::to_allocvec(&ends)?, records])
    }

    /// Decodes all.
    pub fn read(bytes: &[u8]) -> postcard::Result<Self> {
        let (ends, mut rest): (Vec<usize>, _) = postcard::take_from_bytes(bytes)?;
        let mut held = Vec::with_capacity(ends.len());
        for _ in ends {
            let (certificate, more): (Certificate, _) = postcard::take_from_bytes(rest)?;
            held.push(certificate.into());
            rest = more;
        }
        Ok(Self(Kind::Held(held)))
    }

    /// Decodes none before it is asked for.
    pub fn lazy(bytes: &'static [u8]) -> postcard::Result<Self> {
        let (ends, bytes): (Vec<usize>, _) = postcard::take_from_bytes(bytes)?;
        let sorted = ends.is_sorted() && ends.last().is_none_or(|end| *end <= bytes.len());
        match sorted {
            true => Ok(Self(Kind::Written(Written {
                bytes,
                ends: ends.into(),
            }))),
            false => Err(postcard::Error::DeserializeBadEncoding),
        }
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Held(held) => held.len(),
            Kind::Written(written) => written.ends.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn find(&self, index: CertificateIndex) -> Option<Arc<Certificate>> {
        let index = index as usize;
        match &self.0 {
            Kind::Held(held) => Some(held.get(index)?.certificate.clone()),
            Kind::Written(written) => postcard::from_bytes(written.record(index)?).ok(),
        }
    }

    /// What is served of one of them, without decoding the rest.
    pub fn material(&self, index: CertificateIndex) -> Option<Material> {
        match &self.0 {
            Kind::Held(held) => Some(Material::of(&held.get(index as usize)?.certificate)),
            Kind::Written(written) => Material::read(written.record(index as usize)?).ok(),
        }
    }

    /// How many are not there yet.
    pub fn placeholders(&self) -> usize {
        match &self.0 {
            Kind::Held(held) => held
                .iter()
                .filter(|one| one.certificate.is_placeholder())
                .count(),
            Kind::Written(written) => written.placeholders(),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Arc<Certificate>> {
        let indices = 0..CertificateIndex::try_from(self.len()).unwrap_or(CertificateIndex::MAX);
        indices.filter_map(|index| self.find(index))
    }

    /// Those that are held, with what is known of their files.
    pub fn entries(&self) -> &[Entry] {
        match &self.0 {
            Kind::Held(held) => held,
            Kind::Written(_) => &[],
        }
    }

    /// Puts another one in the place of `index`; only where they are held.
    pub fn replace(&mut self, index: CertificateIndex, entry: Entry) {
        if let Kind::Held(held) = &mut self.0 {
            if let Some(place) = held.get_mut(index as usize) {
                *place = entry;
            }
        }
    }
}

impl Written {
    fn record(&self, index: usize) -> Option<&'static [u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(start..end)
    }

    /// A record begins with the length of its chain.
    fn placeholders(&self) -> usize {
        let records = (0..self.ends.len()).filter_map(|index| self.record(index));
        let length = |record| postcard::take_from_bytes::<usize>(record);
        let lengths = records.filter_map(|record| length(record).ok());
        lengths.filter(|(length, _)| *length == 0).count()
    }
}

impl Material {
    fn of(certificate: &Certificate) -> Self {
        let chain = certificate.chain.iter();
        Self {
            chain: chain.map(|der| Cow::Owned(der.to_vec())).collect(),
            key: certificate.key.clone(),
            staple: certificate.staple.clone(),
        }
    }

    /// The beginning of a [`Certificate`], field by field.
    fn read(record: &'static [u8]) -> postcard::Result<Self> {
        type Beginning = (Vec<&'static [u8]>, PrivateKey, Option<Staple>);
        let ((chain, key, staple), _): (Beginning, _) = postcard::take_from_bytes(record)?;
        Ok(Self {
            chain: chain.into_iter().map(Cow::Borrowed).collect(),
            key,
            staple,
        })
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Certificate> for Entry {
    fn from(certificate: Certificate) -> Self {
        Self {
            certificate: Arc::new(certificate),
            files: None,
        }
    }
}

impl From<Vec<Entry>> for Certificates {
    fn from(held: Vec<Entry>) -> Self {
        Self(Kind::Held(held))
    }
}

impl PartialEq for Certificates {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Der;
    use super::*;

    fn certificate(number: u8) -> Entry {
        let mut certificate = Certificate::placeholder(format!("{number}.pem").into());
        certificate.chain = (0..number).map(|it| Der::from(vec![it; 300])).collect();
        certificate.key = PrivateKey::Sec1(vec![number].into());
        certificate.names = vec![format!("{number}.test")];
        certificate.staple = (number % 2 == 1).then(|| Staple {
            response: vec![number; 9].into(),
            next_update: 7,
        });
        certificate.into()
    }

    #[test]
    fn what_is_written_is_read_now_or_later() {
        let held = Certificates::from((0..4).map(certificate).collect::<Vec<_>>());
        let bytes = held.write().unwrap().concat();
        assert_eq!(Certificates::read(&bytes).unwrap(), held);
        let lazy = Certificates::lazy(bytes.leak()).unwrap();
        assert_eq!(lazy, held);
        assert_eq!(lazy.placeholders(), 1);
        for index in 0..4 {
            let [here, there] = [&held, &lazy].map(|of| of.material(index).unwrap());
            assert_eq!(here.chain, there.chain);
            assert_eq!(here.staple, there.staple);
            assert!(here.key == there.key && here.chain.len() == index as usize);
            assert!(
                there
                    .chain
                    .iter()
                    .all(|der| matches!(der, Cow::Borrowed(_)))
            );
        }
        assert!(lazy.find(4).is_none() && lazy.material(4).is_none());
    }

    #[test]
    fn what_is_torn_is_an_error() {
        let held = Certificates::from(vec![certificate(2)]);
        let bytes = held.write().unwrap().concat();
        for length in 0..bytes.len() {
            let torn: &'static [u8] = bytes[..length].to_vec().leak();
            assert!(Certificates::read(torn).is_err(), "{length}");
            assert!(Certificates::lazy(torn).is_err(), "{length}");
        }
    }
}
