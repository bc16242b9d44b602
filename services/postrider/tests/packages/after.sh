# The restored relay knows what was delivered, and delivers what waited.
said "$DELIVERED" delivered
arrived before 1
postrider queue resume --tenant "$TENANT" --data "$W/relay"
eventually "the small message" arrived small 1
eventually "the large message" arrived large 90000
arrived before 1
! grep --quiet ERROR "$W/serve.log" || [ "$DATABASE" = postgres ]
