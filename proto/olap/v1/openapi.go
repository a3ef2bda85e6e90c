package olapv1

import _ "embed"

//go:embed olap.swagger.json
var openAPI []byte

// OpenAPI returns the OpenAPI 2 document of OlapService's REST paths, as
// generated. The caller must not change it.
func OpenAPI() []byte { return openAPI }
