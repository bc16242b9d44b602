//! What the admin API says where nothing is.

use serde_json::Value;

use super::scene::Scene;

#[tokio::test]
async fn what_is_not_there_is_named_and_a_mistyped_path_is_told_where_all_stand() {
    let scene = Scene::start().await;
    let (operators, _) = scene.token("admin", None).await;
    let (vendors, _) = scene.token("admin", Some("acme")).await;
    let (own, others) = (&scene.acmes, &scene.others);
    let document = "GET /admin/v1/openapi.json lists all there is";
    for (token, path, says) in [
        (&operators, "/tenant".to_owned(), document),
        (&operators, format!("/tenants/{own}/words"), document),
        (&vendors, "/vendors".to_owned(), document),
        (
            &operators,
            "/tenants/nobody".to_owned(),
            "There is no tenant \"nobody\"",
        ),
        (&vendors, format!("/tenants/{others}"), "no tenant"),
        (
            &operators,
            "/messages/01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            "no message \"01890a5d",
        ),
        (&operators, "/sessions/7F3K-Q2".to_owned(), "no session"),
        (&operators, "/vendors/nobody".to_owned(), "no vendor"),
    ] {
        let answer = scene.ask(token, "GET", &path, &Value::Null).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            answer.text().replace("\\\"", "\"").contains(says),
            "{path}: {}",
            answer.text()
        );
    }
}
