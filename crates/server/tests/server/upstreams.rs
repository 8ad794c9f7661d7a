//! Every key of an upstream reaches the registry client; what a registry needs is told before it is asked.

use testkit::tls::{ROOT_PEM, TlsFront};
use testkit::{Auth, FakeRegistry, Gate, Image, Kind, Quirk, When};

use crate::place::Place;

fn file(place: &Place, name: &str, content: &str) -> String {
    let path = place.directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn dockers_configuration_and_a_token_file_log_in_at_a_registry() {
    let place = Place::new().await;
    place.registry.require(Auth::bearer().account("ci", "hunter2").accounts_only());
    let host = place.registry.host_port();
    let docker =
        file(&place, "docker.json", &format!(r#"{{"auths":{{"{host}":{{"auth":"Y2k6aHVudGVyMg=="}}}}}}"#));
    let place = place.tables(&format!("docker_config = \"{docker}\""));
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.body, image.manifest);
}

#[tokio::test]
async fn a_registrys_own_root_is_believed_for_that_registry() {
    let registry = FakeRegistry::start().await;
    let front = TlsFront::start(registry.address()).await;
    let image = Image::unique();
    registry.push_image("team/app", "v1", &image);
    for (with, status) in [(false, 502), (true, 200)] {
        let place = Place::new().await;
        let roots = file(&place, "roots.pem", ROOT_PEM);
        let roots = if with { format!("ca_file = \"{roots}\"") } else { String::new() };
        let table = format!("[upstreams.\"secure.alt\"]\nurl = \"{}\"\n{roots}", front.url());
        let service = place.tables(&table).start().await;
        let reply = service.get("/v2/secure.alt/team/app/manifests/v1").await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[tokio::test]
async fn a_proxy_is_used_for_the_registry_that_names_it() {
    // Here the fake is the proxy: it answers for whatever host.
    let place = Place::new().await;
    let password = file(&place, "proxy-password", "proxy-secret\n");
    let table = format!(
        "[upstreams.\"far.alt\"]\nurl = \"http://registry.invalid:5000\"\nproxy = \"{}\"\n\
         proxy_username = \"proxy-user\"\nproxy_password_file = \"{password}\"\nproxy_without_address_filter = true",
        place.registry.url()
    );
    let place = place.tables(&table);
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let reply = service.get("/v2/far.alt/team/app/manifests/v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    let asked = place.registry.last(Kind::Manifest);
    assert_eq!(asked.header("host"), Some("registry.invalid:5000"));
    assert_eq!(asked.header("proxy-authorization"), Some("Basic cHJveHktdXNlcjpwcm94eS1zZWNyZXQ="));
}

#[tokio::test]
async fn no_more_questions_are_asked_of_a_registry_at_one_time_than_it_may_have() {
    let place = Place::new().await.tables("max_concurrency = 2");
    let service = place.start().await;
    let gate = Gate::closed();
    for number in 0..5 {
        place.push("team/app", &format!("v{number}"));
    }
    place.registry.quirk_when(When::any(), Quirk::HoldHeaders(gate.clone()));
    let pulls = (0..5).map(|number| {
        let url = service.url(&format!("/v2/corp.alt/team/app/manifests/v{number}"));
        tokio::spawn(async move { testkit::wire::get(&url).await.status })
    });
    let pulls: Vec<_> = pulls.collect();
    gate.waiting(2).await;
    tokio::task::yield_now().await;
    assert_eq!(gate.waiting_now(), 2);
    gate.release();
    for pull in pulls {
        assert_eq!(pull.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn taking_credentials_away_does_not_open_a_log_that_names_what_they_could_read() {
    let mut place = Place::new().await.tables("username = \"ci\"\npassword = \"hunter2\"");
    let service = place.start().await;
    assert_eq!(service.get("/log/checkpoint").await.status, 404);
    service.stop().await;
    place.tables = String::new();
    let service = place.start().await;
    assert_eq!(service.get("/log/checkpoint").await.status, 404);
    service.stop().await;
    place.keys = "public = true\n".to_owned();
    assert!(place.config().unwrap_err().to_string().contains("configured once"));
    place.keys = "public = true\npublish_names = true\n".to_owned();
    assert_eq!(place.start().await.get("/log/checkpoint").await.status, 200);
}
