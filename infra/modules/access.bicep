// What the app's identity may do, and nothing more. Reading the archive is in archive-access.bicep; the database has
// users of its own.

@description('Object ID of the app\'s identity.')
param principalId string

@description('Name of the work storage account.')
param workAccount string

@description('Name of the Key Vault.')
param vault string

@description('Name of the Application Insights component.')
param component string

// Storage Blob Data Owner: the host's locks and keys, the handler's container, the package; links are signed with a key
// that the identity asks for.
var blobOwner = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b')
// Storage Queue Data Contributor: the trigger's own, smaller roles may neither release a message nor write a poison queue.
var queueContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '974c5e8b-45b9-4653-ba55-5f855dd0fb88')
// Key Vault Secrets User: reads values, lists nothing else, writes nothing.
var secretsUser = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
// Monitoring Metrics Publisher: sends telemetry of every kind.
var metricsPublisher = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '3913510d-42f4-4e42-8a64-420c390055eb')

resource work 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: workAccount
}

resource keyVault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vault
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: component
}

resource blobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: work
  name: guid(work.id, principalId, blobOwner)
  properties: {
    roleDefinitionId: blobOwner
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource queues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: work
  name: guid(work.id, principalId, queueContributor)
  properties: {
    roleDefinitionId: queueContributor
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource secrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: keyVault
  name: guid(keyVault.id, principalId, secretsUser)
  properties: {
    roleDefinitionId: secretsUser
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, principalId, metricsPublisher)
  properties: {
    roleDefinitionId: metricsPublisher
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
