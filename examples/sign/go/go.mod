module example.org/customers-sign

go 1.19

require example.org/customers-signing v0.0.0

replace example.org/customers-signing => ../../../clients/go
