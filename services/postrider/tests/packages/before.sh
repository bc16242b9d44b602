# What a backup has to bring back: a message that was delivered, and two that wait, one of them with a body that
# SQLite has in a file of its own.
DELIVERED=$(postrider send --tenant "$TENANT" --to ann@example.org --subject 'before' --text 'x' \
  --data "$W/relay" --json | field id)
eventually "a delivery" said "$DELIVERED" delivered
postrider queue suspend --tenant "$TENANT" --data "$W/relay"
LARGE=$(printf '%01000d\n' {1..90})
for subject in small large; do
  text=$subject
  [ $subject = small ] || text=$LARGE
  postrider send --tenant "$TENANT" --to ben@example.org --subject "$subject" --text "$text" --data "$W/relay"
done
mkdir -p "$W/srv/backup"
