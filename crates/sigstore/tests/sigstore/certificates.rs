//! Who signs: certificates, who they name, and how long they are used.

use std::time::Duration;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use sigstore::{Error, Identity, IdentitySource, Settings, SignerSource, Subject};
use testkit::sigstore::{Fault, ISSUER};

use crate::place::{Place, statement, us};

/// [8] the issuer, [9] the SCT, [16] the chain; and the kind of the name, which text alone does not tell.
#[tokio::test]
async fn a_certificate_that_is_not_ours_signs_nothing() {
    for (fault, words) in [
        (Fault::OtherIssuer, "https://other.example"),
        (Fault::OtherIdentity, "somebody@example.test"),
        (Fault::OtherKind, "was expected"),
        (Fault::OtherKey, "another key"),
    ] {
        let place = Place::new();
        place.services.fault(fault);
        let error = place.signer().sign(&statement("a")).await.unwrap_err();
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
        assert_eq!(place.services.rekor().size(), 0);
    }
    for fault in [Fault::NoSct, Fault::ForeignSct, Fault::OtherChain] {
        let place = Place::new();
        place.services.fault(fault);
        let signer = place.signer();
        let error = signer.sign(&statement("a")).await.unwrap_err();
        assert!(matches!(error, Error::Verification { .. }), "{fault:?}: {error}");
        assert_eq!(place.services.rekor().size(), 0);
        place.services.heal();
        signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_that_a_record_failed_with_signs_no_other() {
    let place = Place::new();
    let signer = place.signer();
    let prepared = signer.sign(&statement("a")).await.unwrap();
    place.services.fault(Fault::OtherTime);
    assert!(signer.submit(&prepared).await.is_err());
    place.services.heal();
    signer.sign(&statement("b")).await.unwrap();
    assert_eq!(place.services.certificates(), 2);
    signer.submit(&prepared).await.unwrap();
    signer.sign(&statement("c")).await.unwrap();
    assert_eq!(place.services.certificates(), 2);
}

#[tokio::test]
async fn a_certificate_signs_for_a_few_minutes_and_all_who_wait_share_one() {
    let place = Place::new();
    let signer = place.signer();
    let signing = (0..20).map(|number| {
        let (signer, statement) = (signer.clone(), statement(&number.to_string()));
        tokio::spawn(async move { signer.sign(&statement).await.map(drop) })
    });
    for signed in signing.collect::<Vec<_>>() {
        signed.await.unwrap().unwrap();
    }
    assert_eq!((place.services.certificates(), signer.statistics().certificates), (1, 1));
    place.clock.advance(Duration::from_secs(479));
    signer.sign(&statement("a")).await.unwrap();
    assert_eq!(place.services.certificates(), 1);
    place.clock.advance(Duration::from_secs(1));
    signer.sign(&statement("a")).await.unwrap();
    assert_eq!(place.services.certificates(), 2);
}

#[tokio::test]
async fn a_token_is_read_each_time_and_never_somebody_elses() {
    let place = Place::new();
    let signer = place.signer();
    signer.sign(&statement("a")).await.unwrap();
    assert_eq!(*signer.identity().unwrap(), us());
    place.services.identity("somebody@example.test");
    place.clock.advance(Duration::from_secs(600));
    let error = signer.sign(&statement("a")).await.unwrap_err();
    assert!(error.to_string().contains("somebody@example.test"), "{error}");
}

#[tokio::test]
async fn an_identity_that_is_configured_has_to_be_the_one_that_signs() {
    let place = Place::new();
    let other =
        Identity { subject: Subject::Email("other@example.test".to_owned()), issuer: ISSUER.to_owned() };
    let signer = place.with(Settings { identity: Some(other), ..place.settings() });
    let error = signer.sign(&statement("a")).await.unwrap_err();
    assert!(
        error.to_string().contains("other@example.test") && error.to_string().contains("`identity`"),
        "{error}"
    );
}

#[tokio::test]
async fn tokens_come_from_a_program_or_from_a_variable_as_well() {
    let place = Place::new();
    let path = place.services.path("token");
    let token = std::fs::read_to_string(&path).unwrap();
    for source in [
        IdentitySource::Command(vec!["cat".to_owned(), path.display().to_string()]),
        IdentitySource::Token(token.clone().into()),
    ] {
        let signer = place.with(Settings { signer: SignerSource::Workload(source), ..place.settings() });
        signer.sign(&statement("a")).await.unwrap();
    }
    for (source, words) in [
        (IdentitySource::Command(vec!["false".to_owned()]), "ended with"),
        (IdentitySource::Command(vec!["no-such-program".to_owned()]), "cannot be run"),
        (IdentitySource::File(place.directory.path().join("not there")), "not there"),
        (IdentitySource::Token("no token".to_owned().into()), "is none"),
        (IdentitySource::GoogleMetadata { host: "127.0.0.1:1".to_owned() }, "127.0.0.1:1"),
    ] {
        let signer = place.with(Settings { signer: SignerSource::Workload(source), ..place.settings() });
        let error = signer.sign(&statement("a")).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_managed_key_signs_without_a_certificate() {
    for place in [Place::new(), Place::v2()] {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let path = place.file("key.pem", &key.serialize_pem());
        let settings = || Settings { signer: SignerSource::ManagedKey(path.clone()), ..place.settings() };
        let signer = place.with(settings());
        let verified = signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
        assert!(matches!(&verified.identity.subject, Subject::Key(_)));
        assert_eq!(place.services.certificates(), 0);
        assert_eq!(place.with(settings()).verify(&verified.bundle).unwrap().entry, verified.entry);
        let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let path = place.file("other.pem", &other.serialize_pem());
        let stranger = place.with(Settings { signer: SignerSource::ManagedKey(path), ..place.settings() });
        assert!(stranger.verify(&verified.bundle).is_err());
    }
    let place = Place::new();
    let path = place.file("key.pem", "no key");
    let settings = Settings { signer: SignerSource::ManagedKey(path), ..place.settings() };
    let error = sigstore::Sigstore::open(settings, sigstore::Clock::default()).err().unwrap();
    assert!(error.to_string().contains("key.pem") && error.to_string().contains("P-256"), "{error}");
}

/// One Fulcio that hangs is waited for once, not once for each who waits.
#[tokio::test]
async fn who_waits_for_a_certificate_that_does_not_come_waits_together() {
    let place = Place::new();
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hangs.local_addr().unwrap()).parse().unwrap();
    let signer = place.with(Settings {
        fulcio_url: Some(url),
        fulcio_timeout: Duration::from_millis(20),
        ..place.settings()
    });
    let waiting: Vec<_> = (0..4)
        .map(|number: u32| {
            let signer = signer.clone();
            tokio::spawn(async move { signer.sign(&statement(&number.to_string())).await.is_err() })
        })
        .collect();
    for one in waiting {
        assert!(one.await.unwrap());
    }
    assert_eq!(signer.statistics().fulcio, 4, "one request, sent again three times");
    assert!(signer.sign(&statement("later")).await.is_err());
    assert_eq!(signer.statistics().fulcio, 8, "who comes later tries anew");
}
