// Reading rights on the archive. A module of its own because the archive may lie in another resource group.

@description('Name of the archive account.')
param account string

@description('Object ID of the app\'s identity.')
param principalId string

// Storage Blob Data Reader.
var blobReader = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1')

resource archive 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: account
}

resource read 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: archive
  name: guid(archive.id, principalId, blobReader)
  properties: {
    roleDefinitionId: blobReader
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
